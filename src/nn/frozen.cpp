#include "nn/frozen.h"

#include <ATen/ops/addmm.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <torch/csrc/autograd/custom_function.h>

namespace difftune::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

at::Tensor rows(const at::Tensor& x) { return x.reshape({-1, x.size(-1)}); }

at::Tensor like_rows_of(const at::Tensor& matrix, const at::Tensor& x) {
  auto shape = x.sizes().vec();
  shape.back() = matrix.size(1);
  return matrix.view(shape);
}

struct FrozenLinear : Function<FrozenLinear> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& bias) {
    ctx->saved_data["weight"] = weight;
    return at::linear(x, weight, bias);
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const at::Tensor weight = ctx->saved_data["weight"].toTensor();
    return {like_rows_of(at::mm(rows(grads[0]), weight), grads[0]), {}, {}};
  }
};

struct FrozenLinearLowRank : Function<FrozenLinearLowRank> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                            const at::Tensor& down, const at::Tensor& up, double scale) {
    const at::Tensor x_rows = rows(x);
    const at::Tensor a = down.to(x.scalar_type()), b = up.to(x.scalar_type());
    const at::Tensor hidden = at::mm(x_rows, a.t());  // [N, rank]
    at::Tensor y = bias.defined() ? at::addmm(bias, x_rows, weight.t()) : at::mm(x_rows, weight.t());
    y.addmm_(hidden, b.t(), 1, scale);
    ctx->saved_data["weight"] = weight;
    ctx->saved_data["scale"] = scale;
    ctx->save_for_backward({x, down, up, hidden});
    return like_rows_of(y, x);
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor x = rows(saved[0]), down = saved[1], up = saved[2], hidden = saved[3];
    const at::Tensor weight = ctx->saved_data["weight"].toTensor();
    const double scale = ctx->saved_data["scale"].toDouble();
    const auto dtype = x.scalar_type();
    const at::Tensor g = rows(grads[0]);
    const at::Tensor g_up = at::mm(g, up.to(dtype)).mul_(scale);  // [N, rank]
    at::Tensor grad_x;
    if (ctx->needs_input_grad(0)) {
      grad_x = at::mm(g, weight);
      grad_x.addmm_(g_up, down.to(dtype));
      grad_x = like_rows_of(grad_x, grads[0]);
    }
    const at::Tensor grad_down = at::mm(g_up.t(), x).to(down.scalar_type());
    const at::Tensor grad_up = at::mm(g.t(), hidden).mul_(scale).to(up.scalar_type());
    return {grad_x, {}, {}, grad_down, grad_up, {}};
  }
};

struct FrozenConv2d : Function<FrozenConv2d> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                            int64_t stride, int64_t padding) {
    ctx->saved_data["weight"] = weight;
    ctx->saved_data["stride"] = stride;
    ctx->saved_data["padding"] = padding;
    ctx->saved_data["input_shape"] = x.sizes().vec();
    return at::conv2d(x, weight, bias, stride, padding);
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const at::Tensor weight = ctx->saved_data["weight"].toTensor();
    const auto stride = ctx->saved_data["stride"].toInt(), padding = ctx->saved_data["padding"].toInt();
    // The input's values are not used for its own gradient, only its shape and layout.
    const at::Tensor shape_only =
        at::Tensor(grads[0]).new_empty({1}).expand(ctx->saved_data["input_shape"].toIntVector());
    const auto result = at::convolution_backward(grads[0], shape_only, weight, std::nullopt, {stride, stride},
                                                 {padding, padding}, {1, 1}, false, {0, 0}, 1, {true, false, false});
    return {std::get<0>(result), {}, {}, {}, {}};
  }
};

}  // namespace

at::Tensor frozen_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  if (!x.requires_grad()) return at::linear(x, weight, bias);
  return FrozenLinear::apply(x, weight, bias);
}

at::Tensor frozen_linear_low_rank(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                                  const at::Tensor& down, const at::Tensor& up, double scale) {
  return FrozenLinearLowRank::apply(x, weight, bias, down, up, scale);
}

at::Tensor frozen_conv2d(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, int64_t stride,
                         int64_t padding) {
  if (!x.requires_grad()) return at::conv2d(x, weight, bias, stride, padding);
  return FrozenConv2d::apply(x, weight, bias, stride, padding);
}

}  // namespace difftune::nn
