#include "families/component_json.h"

#include <algorithm>

#include "base/error.h"

namespace difftune {

ComponentJson::ComponentJson(fs::path file) : file_(std::move(file)), json_(nlohmann::json::object()) {
  if (!fs::exists(file_)) return;
  json_ = nlohmann::json::parse(read_file(file_), nullptr, false);
  if (!json_.is_object()) fail("{}: is not a JSON object", file_.string());
}

void ComponentJson::read(const char* key, std::vector<int64_t>& levels) const {
  if (!json_.contains(key)) return;
  const auto& value = json_[key];
  const bool is_list = value.is_array() && !value.empty();
  for (size_t i = 0; i < levels.size(); ++i) {
    levels[i] = positive(key, is_list ? value[std::min(i, value.size() - 1)] : value);
  }
}

void ComponentJson::read(const char* key, int64_t& value) const {
  if (json_.contains(key)) value = positive(key, json_[key]);
}

std::optional<std::string> ComponentJson::text(const char* key) const {
  if (!json_.contains(key)) return std::nullopt;
  if (!json_[key].is_string()) fail("{}: {} is {}, expected a text", file_.string(), key, json_[key].dump());
  return json_[key].get<std::string>();
}

int64_t ComponentJson::positive(const char* key, const nlohmann::json& value) const {
  if (!value.is_number_integer() || value.get<int64_t>() < 1) {
    fail("{}: {} is {}, expected a positive whole number", file_.string(), key, value.dump());
  }
  return value.get<int64_t>();
}

}  // namespace difftune
