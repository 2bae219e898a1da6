#include "weights/joined_source.h"

#include "base/error.h"

namespace difftune {

JoinedSource::JoinedSource(fs::path path, std::vector<Part> parts) : path_(std::move(path)), parts_(std::move(parts)) {
  for (const Part& part : parts_) {
    for (std::string& key : part.source->keys()) {
      std::string full_key = part.prefix + key;
      const auto [known, is_new] = places_.try_emplace(full_key, Place{part.source.get(), std::move(key)});
      if (!is_new) {
        fail("{} and {}: both have the tensor '{}'; remove the file that does not belong to the model",
             known->second.source->path().string(), part.source->path().string(), full_key);
      }
      keys_.push_back(std::move(full_key));
    }
  }
}

const JoinedSource::Place& JoinedSource::place(const std::string& key) const {
  const auto found = places_.find(key);
  if (found == places_.end()) fail_missing_key(*this, key);
  return found->second;
}

TensorInfo JoinedSource::info(const std::string& key) const {
  const Place& p = place(key);
  return p.source->info(p.key);
}

at::Tensor JoinedSource::tensor(const std::string& key) const {
  const Place& p = place(key);
  return p.source->tensor(p.key);
}

void JoinedSource::drop_pages(const std::string& key) const {
  const Place& p = place(key);
  p.source->drop_pages(p.key);
}

}  // namespace difftune
