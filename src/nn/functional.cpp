#include "nn/functional.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/sin.h>

#include <cmath>

namespace difftune::nn {

at::Tensor silu(const at::Tensor& x) { return at::silu(x); }

at::Tensor gelu(const at::Tensor& x) { return at::gelu(x); }

at::Tensor quick_gelu(const at::Tensor& x) { return x * at::sigmoid(x * 1.702); }

at::Tensor timestep_embedding(const at::Tensor& timesteps, int64_t size) {
  const int64_t half = size / 2;
  const auto options = timesteps.options().dtype(at::kFloat);
  const at::Tensor frequencies = at::exp(at::arange(half, options) * -std::log(10000.0) / static_cast<double>(half));
  const at::Tensor angles = timesteps.to(at::kFloat).unsqueeze(1) * frequencies.unsqueeze(0);
  return at::cat({at::cos(angles), at::sin(angles)}, -1);
}

}  // namespace difftune::nn
