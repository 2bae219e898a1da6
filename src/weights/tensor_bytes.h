// Tensors over bytes: views of a mapped file, and plain CPU copies to be written.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "weights/tensor_source.h"

namespace difftune {

// The bytes of a contiguous tensor, or nullopt where a size is negative, there are more than 64 dimensions or the
// arithmetic of sizes and strides would overflow (also with a zero among the sizes).
std::optional<size_t> checked_num_bytes(const std::vector<int64_t>& shape, size_t element_bytes);

// A CPU tensor over the file's bytes from `offset` on, which the caller has checked to lie inside it. It shares the
// mapping; where `offset` is not aligned to the element size, which tensor kernels need, it is a copy. Once nothing
// holds it, its pages no longer count as this program's memory; the kernel may still have them when they are asked for
// again. `strides` (in elements) default to those of a contiguous tensor; `extent_bytes` reaches to the end of the last
// element.
at::Tensor view_mapped(const std::shared_ptr<const MappedFile>& file, size_t offset, const TensorInfo& info);
at::Tensor view_mapped(const std::shared_ptr<const MappedFile>& file, size_t offset, const TensorInfo& info,
                       const std::vector<int64_t>& strides, size_t extent_bytes);

// The tensor on the CPU, contiguous and of this dtype; the same one where it is so already.
at::Tensor to_plain_cpu(const at::Tensor& tensor, c10::ScalarType dtype);

}  // namespace difftune
