#include "weights/tensor_bytes.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/error.h"

namespace difftune {

std::optional<size_t> checked_num_bytes(const std::vector<int64_t>& shape, size_t element_bytes) {
  constexpr size_t kMaxDimensions = 64;  // of LibTorch's tensor iterators
  if (shape.size() > kMaxDimensions) return std::nullopt;
  auto bound = static_cast<int64_t>(element_bytes), num_bytes = bound;
  for (const int64_t size : shape) {
    if (size < 0 || __builtin_mul_overflow(bound, std::max<int64_t>(size, 1), &bound)) return std::nullopt;
    num_bytes *= size;
  }
  return static_cast<size_t>(num_bytes);
}

at::Tensor view_mapped(const std::shared_ptr<const MappedFile>& file, size_t offset, const TensorInfo& info,
                       const std::vector<int64_t>& strides, size_t extent_bytes) {
  const auto bytes = file->bytes();
  DT_CHECK(offset <= bytes.size() && extent_bytes <= bytes.size() - offset, "{}: bytes {} + {} of {}",
           file->path().string(), offset, extent_bytes, bytes.size());
  const auto options = at::TensorOptions().dtype(info.dtype);
  if (extent_bytes == 0) return at::empty(info.shape, options);
  // from_blob takes a pointer to non-const; that nobody writes through it is TensorSource's contract.
  void* data = const_cast<std::byte*>(bytes.data() + offset);
  if (offset % c10::elementSize(info.dtype) == 0) {
    // Who asks for the tensor again reads the pages again; what nobody holds shall not count as this program's memory.
    const auto give_back = [file, offset, extent_bytes](void*) { file->drop_pages(offset, extent_bytes); };
    return at::from_blob(data, info.shape, strides, give_back, options);
  }
  void* copy = std::malloc(extent_bytes);
  if (copy == nullptr) throw std::bad_alloc();
  std::memcpy(copy, data, extent_bytes);
  return at::from_blob(
      copy, info.shape, strides, [](void* p) { std::free(p); }, options);
}

at::Tensor view_mapped(const std::shared_ptr<const MappedFile>& file, size_t offset, const TensorInfo& info) {
  std::vector<int64_t> strides(info.shape.size());
  int64_t stride = 1;
  for (size_t i = strides.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= std::max<int64_t>(info.shape[i], 1);
  }
  return view_mapped(file, offset, info, strides, info.num_bytes);
}

at::Tensor to_plain_cpu(const at::Tensor& tensor, c10::ScalarType dtype) {
  return tensor.detach().to(at::TensorOptions().device(at::kCPU).dtype(dtype)).contiguous();
}

}  // namespace difftune
