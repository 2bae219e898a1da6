// Several sources seen as one: the shards of a model, or the components of a Diffusers folder.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "weights/tensor_source.h"

namespace difftune {

class JoinedSource : public TensorSource {
 public:
  struct Part {
    std::string prefix;  // put before each of the part's keys, e.g. "unet."
    std::shared_ptr<const TensorSource> source;
  };

  // Throws UserError where two parts hold the same key. `path` is the folder that messages name.
  JoinedSource(fs::path path, std::vector<Part> parts);

  std::vector<std::string> keys() const override { return keys_; }
  bool contains(const std::string& key) const override { return places_.contains(key); }
  TensorInfo info(const std::string& key) const override;
  at::Tensor tensor(const std::string& key) const override;
  void drop_pages(const std::string& key) const override;
  const fs::path& path() const override { return path_; }
  const Metadata& metadata() const override { return metadata_; }

 private:
  struct Place {
    const TensorSource* source;
    std::string key;
  };
  const Place& place(const std::string& key) const;

  fs::path path_;
  std::vector<Part> parts_;
  std::vector<std::string> keys_;
  std::unordered_map<std::string, Place> places_;
  Metadata metadata_;
};

}  // namespace difftune
