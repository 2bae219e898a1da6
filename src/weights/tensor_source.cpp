#include "weights/tensor_source.h"

#include <fmt/ranges.h>

#include "base/error.h"
#include "base/nearest_name.h"
#include "weights/finite.h"

namespace difftune {

int64_t TensorInfo::num_elements() const {
  int64_t result = 1;
  for (const int64_t size : shape) result *= size;
  return result;
}

std::string_view dtype_name(c10::ScalarType dtype) {
  using enum c10::ScalarType;
  switch (dtype) {
    case Double:
      return "float64";
    case Float:
      return "float32";
    case Half:
      return "float16";
    case BFloat16:
      return "bfloat16";
    case Float8_e4m3fn:
      return "float8_e4m3fn";
    case Float8_e5m2:
      return "float8_e5m2";
    case Long:
      return "int64";
    case Int:
      return "int32";
    case Short:
      return "int16";
    case Char:
      return "int8";
    case UInt64:
      return "uint64";
    case UInt32:
      return "uint32";
    case UInt16:
      return "uint16";
    case Byte:
      return "uint8";
    case Bool:
      return "bool";
    default:
      return c10::toString(dtype);
  }
}

std::string describe(const TensorInfo& info) {
  return fmt::format("{} [{}]", dtype_name(info.dtype), fmt::join(info.shape, ", "));
}

void fail_missing_key(const TensorSource& source, const std::string& key) {
  const std::string near = nearest_name(key, source.keys());
  fail("{}: has no tensor '{}'{}", source.path().string(), key,
       near.empty() ? "" : fmt::format(" (nearest: '{}')", near));
}

MemorySource::MemorySource(std::vector<NamedTensor> tensors, Metadata metadata, fs::path path)
    : tensors_(std::move(tensors)), metadata_(std::move(metadata)), path_(std::move(path)) {
  for (size_t i = 0; i < tensors_.size(); ++i) {
    const bool is_new = index_.emplace(tensors_[i].first, i).second;
    DT_CHECK(is_new, "two tensors are called '{}'", tensors_[i].first);
  }
}

std::vector<std::string> MemorySource::keys() const {
  std::vector<std::string> result;
  result.reserve(tensors_.size());
  for (const auto& [name, tensor] : tensors_) result.push_back(name);
  return result;
}

TensorInfo MemorySource::info(const std::string& key) const {
  const at::Tensor t = tensor(key);
  return {t.scalar_type(), t.sizes().vec(), t.nbytes()};
}

at::Tensor MemorySource::tensor(const std::string& key) const {
  const auto found = index_.find(key);
  if (found == index_.end()) fail_missing_key(*this, key);
  return tensors_[found->second].second;
}

std::string first_non_finite(const std::vector<NamedTensor>& tensors) {
  for (const auto& [name, tensor] : tensors) {
    if (!all_finite(tensor)) return name;
  }
  return "";
}

}  // namespace difftune
