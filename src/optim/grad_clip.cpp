#include "optim/grad_clip.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/clamp_max.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/reciprocal.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

namespace difftune {
namespace {

std::vector<at::Tensor> gradients(const std::vector<at::Tensor>& params) {
  std::vector<at::Tensor> grads;
  grads.reserve(params.size());
  for (const at::Tensor& param : params) {
    if (param.grad().defined()) grads.push_back(param.grad());
  }
  return grads;
}

at::Tensor norm_of(const std::vector<at::Tensor>& grads) {
  if (grads.empty()) return at::zeros({});
  return at::linalg_vector_norm(at::stack(at::_foreach_norm(grads, 2)), 2);
}

}  // namespace

at::Tensor grad_norm(const std::vector<at::Tensor>& params) {
  const c10::AutoGradMode no_grad(false);
  return norm_of(gradients(params));
}

at::Tensor clip_grad_norm(const std::vector<at::Tensor>& params, double max_norm) {
  const c10::AutoGradMode no_grad(false);
  const std::vector<at::Tensor> grads = gradients(params);
  const at::Tensor norm = norm_of(grads);
  if (grads.empty()) return norm;
  // PyTorch divides a number by a tensor through the reciprocal.
  const at::Tensor factor = at::clamp_max(at::reciprocal(norm + 1e-6) * max_norm, 1.0);
  at::_foreach_mul_(grads, factor);
  return norm;
}

}  // namespace difftune
