// PyTorch checkpoints (.ckpt, .pt, .bin), read without executing anything: a small pickle machine knows the few calls
// that rebuild tensors; every other class or function in the file becomes an inert placeholder.
// Format: torch/serialization.py (zip archive since 1.6, one stream of pickles before) and CPython's pickletools.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "weights/tensor_source.h"

namespace difftune {

// The tensors of a checkpoint's state dict: the top dictionary, or the one under "state_dict" or "module" in it.
// Stored bytes are mapped and viewed; values that are no tensors are left out.
class TorchCheckpoint : public TensorSource {
 public:
  // Throws UserError that names the file: truncated, no torch.save file, a tensor outside its storage, no tensors.
  explicit TorchCheckpoint(const fs::path& path);

  std::vector<std::string> keys() const override { return keys_; }
  bool contains(const std::string& key) const override { return tensors_.contains(key); }
  TensorInfo info(const std::string& key) const override;
  at::Tensor tensor(const std::string& key) const override;
  void drop_pages(const std::string& key) const override;
  const fs::path& path() const override { return file_->path(); }
  const Metadata& metadata() const override { return metadata_; }
  // Calls of code that the file asked for and that were left undone, e.g. "os.system".
  const std::vector<std::string>& refused_calls() const { return refused_calls_; }
  // A whole number beside the state dict, such as "epoch" or "global_step".
  std::optional<int64_t> integer(const std::string& name) const;

  struct Tensor {
    TensorInfo info;
    std::vector<int64_t> strides;
    size_t offset = 0;        // of the first element, in bytes from the start of the file
    size_t extent_bytes = 0;  // from there to the end of the last element
  };

 private:
  const Tensor& place(const std::string& key) const;

  std::shared_ptr<const MappedFile> file_;
  std::vector<std::string> keys_;
  std::unordered_map<std::string, Tensor> tensors_;
  std::vector<std::string> refused_calls_;
  std::map<std::string, int64_t> integers_;
  Metadata metadata_;
};

}  // namespace difftune
