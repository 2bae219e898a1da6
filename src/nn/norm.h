// Normalisation layers.
#pragma once

#include <ATen/core/Tensor.h>

#include "nn/parameter_scope.h"

namespace difftune::nn {

// Over the last dimension (arXiv:1607.06450).
class LayerNorm {
 public:
  LayerNorm(const ParameterScope& scope, int64_t size, double eps = 1e-5);
  LayerNorm(const LayerNorm&) = delete;
  at::Tensor operator()(const at::Tensor& x) const;

  at::Tensor weight, bias;

 private:
  double eps_;
};

// Over groups of channels of [B, C, ...] (arXiv:1803.08494).
class GroupNorm {
 public:
  GroupNorm(const ParameterScope& scope, int64_t num_groups, int64_t channels, double eps);
  GroupNorm(const GroupNorm&) = delete;
  at::Tensor operator()(const at::Tensor& x) const;

  at::Tensor weight, bias;

 private:
  int64_t num_groups_;
  double eps_;
};

}  // namespace difftune::nn
