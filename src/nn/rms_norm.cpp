#include "nn/rms_norm.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/rsqrt.h>
#include <torch/csrc/autograd/custom_function.h>

namespace difftune::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

// One node that keeps its input only: separate operations would keep three tensors of its size.
struct RmsNormNode : Function<RmsNormNode> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight, double eps) {
    const at::Tensor wide = x.to(at::kFloat);
    const at::Tensor scale = at::rsqrt((wide * wide).mean(-1, true) + eps);
    ctx->save_for_backward({x, weight, scale});
    return ((wide * scale) * weight.to(at::kFloat)).to(x.scalar_type());
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor normed = saved[0].to(at::kFloat) * saved[2];
    const at::Tensor grad = grads[0].to(at::kFloat);
    at::Tensor grad_x, grad_weight;
    if (ctx->needs_input_grad(0)) {
      const at::Tensor inner = grad * saved[1].to(at::kFloat);
      grad_x = (inner - normed * (inner * normed).mean(-1, true)) * saved[2];
      grad_x = grad_x.to(saved[0].scalar_type());
    }
    if (ctx->needs_input_grad(1)) {
      grad_weight = (grad * normed).flatten(0, -2).sum(0).to(saved[1].scalar_type());
    }
    return {grad_x, grad_weight, {}};
  }
};

}  // namespace

RmsNorm::RmsNorm(const ParameterScope& scope, int64_t size, double eps, std::string_view name) : eps_(eps) {
  scope.read(weight, name, {size}, Init::ones);
}

at::Tensor RmsNorm::operator()(const at::Tensor& x) const { return RmsNormNode::apply(x, weight, eps_); }

}  // namespace difftune::nn
