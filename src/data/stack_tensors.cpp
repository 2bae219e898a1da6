#include "data/stack_tensors.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace difftune {

at::Tensor stack_tensors(const std::vector<at::Tensor>& tensors) {
  const at::Tensor& first = tensors.at(0);
  std::vector<int64_t> shape = first.sizes().vec();
  shape.insert(shape.begin(), static_cast<int64_t>(tensors.size()));
  at::Tensor batch = at::empty(shape, first.options());
  auto* out = static_cast<char*>(batch.mutable_data_ptr());
  for (const auto& tensor : tensors) {
    DT_CHECK(tensor.sizes() == first.sizes() && tensor.dtype() == first.dtype() && tensor.is_cpu());
    const at::Tensor dense = tensor.contiguous();
    std::memcpy(out, dense.const_data_ptr(), dense.nbytes());
    out += dense.nbytes();
  }
  return batch;
}

at::Tensor stack_padded(const std::vector<at::Tensor>& tensors) {
  int64_t longest = 0;
  bool differ = false;
  for (const auto& tensor : tensors) {
    differ = differ || tensor.sizes() != tensors[0].sizes();
    if (tensor.dim() > 0) longest = std::max(longest, tensor.size(0));
  }
  if (!differ) return stack_tensors(tensors);
  std::vector<at::Tensor> padded;
  for (const auto& tensor : tensors) {
    std::vector<int64_t> shape = tensor.sizes().vec();
    shape[0] = longest;
    at::Tensor longer = at::empty(shape, tensor.options());
    const at::Tensor dense = tensor.contiguous();
    auto* out = static_cast<char*>(longer.mutable_data_ptr());
    std::memcpy(out, dense.const_data_ptr(), dense.nbytes());
    std::memset(out + dense.nbytes(), 0, longer.nbytes() - dense.nbytes());
    padded.push_back(std::move(longer));
  }
  return stack_tensors(padded);
}

}  // namespace difftune
