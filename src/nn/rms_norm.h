// Root mean square normalisation (arXiv:1910.07467) over the last dimension.
#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>

#include "nn/parameter_scope.h"

namespace difftune::nn {

// x / sqrt(mean(x²) + eps) × weight, in fp32, returned in the dtype of x.
class RmsNorm {
 public:
  // The weight is "<scope>.<name>": "weight" in most checkpoints, "scale" in FLUX's.
  RmsNorm(const ParameterScope& scope, int64_t size, double eps, std::string_view name = "weight");
  RmsNorm(const RmsNorm&) = delete;
  at::Tensor operator()(const at::Tensor& x) const;

  at::Tensor weight;  // [size]

 private:
  double eps_;
};

}  // namespace difftune::nn
