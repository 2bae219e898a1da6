#include "data/stack_tensors.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
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

bool all_finite(const at::Tensor& tensor) {
  const at::Tensor dense = tensor.to(at::kFloat).contiguous();
  const float* values = dense.const_data_ptr<float>();
  return std::all_of(values, values + dense.numel(), [](float value) { return std::isfinite(value); });
}

}  // namespace difftune
