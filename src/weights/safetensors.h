// The safetensors format: mapped reading that trusts no byte, streamed and atomic writing.
// Format: https://github.com/huggingface/safetensors#format; byte order of the output as its version 0.4.5 writes it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "weights/safetensors_header.h"
#include "weights/tensor_source.h"

namespace difftune {

// A safetensors file, mapped. Opening reads and validates the header only.
class SafetensorsFile : public TensorSource {
 public:
  // Throws UserError that names the file and what is wrong: a truncated file, a header that lies, an unknown dtype.
  explicit SafetensorsFile(const fs::path& path);

  std::vector<std::string> keys() const override;
  bool contains(const std::string& key) const override { return index_.contains(key); }
  TensorInfo info(const std::string& key) const override;
  at::Tensor tensor(const std::string& key) const override;
  void drop_pages(const std::string& key) const override;
  const fs::path& path() const override { return file_->path(); }
  const Metadata& metadata() const override { return metadata_; }

 private:
  const SafetensorsEntry& entry(const std::string& key) const;

  std::shared_ptr<const MappedFile> file_;
  size_t data_begin_ = 0;
  std::vector<SafetensorsEntry> entries_;
  std::unordered_map<std::string, size_t> index_;
  Metadata metadata_;
};

// Gives the tensor of a declared name, on any device; called once per tensor in the file's order.
using TensorProvider = std::function<at::Tensor(const std::string& name)>;

// Writes a file tensor by tensor, so that only one needs to be in CPU memory. A tensor of another dtype than declared
// is converted; another shape is a bug. No metadata and empty metadata differ in the file, as in the Python library.
// Throws UserError, and leaves an existing file as it was, where the disk is full.
void write_safetensors(const fs::path& path, const std::vector<TensorDeclaration>& tensors,
                       const TensorProvider& provide, const std::optional<Metadata>& metadata = std::nullopt,
                       SafetensorsStyle style = SafetensorsStyle::library,
                       WrittenWhen written_when = WrittenWhen::on_disk);

void write_safetensors(const fs::path& path, const std::vector<NamedTensor>& tensors,
                       const std::optional<Metadata>& metadata = std::nullopt);

// Writes all tensors of a source (e.g. a name map's view of a model), converted to `dtype` where one is given.
void write_safetensors(const fs::path& path, const TensorSource& source,
                       const std::optional<Metadata>& metadata = std::nullopt,
                       std::optional<c10::ScalarType> dtype = std::nullopt);

}  // namespace difftune
