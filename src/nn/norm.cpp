#include "nn/norm.h"

#include <ATen/ops/group_norm.h>
#include <ATen/ops/layer_norm.h>

namespace difftune::nn {

LayerNorm::LayerNorm(const ParameterScope& scope, int64_t size, double eps) : eps_(eps) {
  scope.read(weight, "weight", {size}, Init::ones);
  scope.read(bias, "bias", {size}, Init::zeros);
}

at::Tensor LayerNorm::operator()(const at::Tensor& x) const {
  return at::layer_norm(x, {x.size(-1)}, weight, bias, eps_);
}

GroupNorm::GroupNorm(const ParameterScope& scope, int64_t num_groups, int64_t channels, double eps)
    : num_groups_(num_groups), eps_(eps) {
  scope.read(weight, "weight", {channels}, Init::ones);
  scope.read(bias, "bias", {channels}, Init::zeros);
}

at::Tensor GroupNorm::operator()(const at::Tensor& x) const {
  return at::group_norm(x, num_groups_, weight, bias, eps_);
}

}  // namespace difftune::nn
