// The config.json of a component of a Diffusers folder.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/files.h"

namespace difftune {

// One that does not exist says nothing. Throws UserError that names the file where a value is not what it should be.
class ComponentJson {
 public:
  explicit ComponentJson(fs::path file);

  // One number, or one for each level (the last one for those beyond the list).
  void read(const char* key, std::vector<int64_t>& levels) const;
  void read(const char* key, int64_t& value) const;
  std::optional<std::string> text(const char* key) const;

 private:
  int64_t positive(const char* key, const nlohmann::json& value) const;

  fs::path file_;
  nlohmann::json json_;
};

}  // namespace difftune
