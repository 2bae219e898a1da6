// The read side of a file of weights: named tensors, whatever the format.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/files.h"

namespace difftune {

using NamedTensor = std::pair<std::string, at::Tensor>;
// Free text beside the tensors, e.g. safetensors' __metadata__.
using Metadata = std::map<std::string, std::string>;

// What is known of a tensor without reading it.
struct TensorInfo {
  c10::ScalarType dtype = c10::ScalarType::Undefined;
  std::vector<int64_t> shape;
  size_t num_bytes = 0;

  int64_t num_elements() const;
};

// "float16 [320, 4, 3, 3]", for messages.
std::string describe(const TensorInfo& info);
// "float32", "bfloat16", "float8_e4m3fn": the dtype's name as PyTorch prints it without "torch.".
std::string_view dtype_name(c10::ScalarType dtype);

// Named tensors of one file, of several, or in memory. Implementations are immutable, hence safe to share by threads.
class TensorSource {
 public:
  virtual ~TensorSource() = default;

  // Every key, in the file's order.
  virtual std::vector<std::string> keys() const = 0;
  virtual bool contains(const std::string& key) const = 0;
  // Throws UserError that names the file where there is no such key.
  virtual TensorInfo info(const std::string& key) const = 0;
  // The tensor on the CPU. Where the bytes allow it, it views the mapped file (and keeps the mapping alive): writing to
  // it in place is not allowed and pages are read when touched.
  virtual at::Tensor tensor(const std::string& key) const = 0;
  // Tells the kernel that the bytes of this tensor are not needed in memory for now.
  virtual void drop_pages(const std::string& key) const {}
  // The file or folder, for messages.
  virtual const fs::path& path() const = 0;
  virtual const Metadata& metadata() const = 0;
};

// Tensors that are in memory already. `path` is what messages call them.
class MemorySource : public TensorSource {
 public:
  explicit MemorySource(std::vector<NamedTensor> tensors, Metadata metadata = {}, fs::path path = "(memory)");

  std::vector<std::string> keys() const override;
  bool contains(const std::string& key) const override { return index_.contains(key); }
  TensorInfo info(const std::string& key) const override;
  at::Tensor tensor(const std::string& key) const override;
  const fs::path& path() const override { return path_; }
  const Metadata& metadata() const override { return metadata_; }

 private:
  std::vector<NamedTensor> tensors_;
  std::map<std::string, size_t> index_;
  Metadata metadata_;
  fs::path path_;
};

// The name of the first tensor that holds a NaN or an infinity, or "" where all values are finite.
std::string first_non_finite(const std::vector<NamedTensor>& tensors);

// Throws the UserError of a missing key; it names the file and the nearest key there is.
[[noreturn]] void fail_missing_key(const TensorSource& source, const std::string& key);

}  // namespace difftune
