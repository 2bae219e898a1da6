#include "nn/frozen.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/convolution_backward.h>
#include <torch/csrc/autograd/custom_function.h>

#include <optional>

#include "nn/matrix_product.h"
#include "nn/tap_convolution.h"
#include "nn/winograd.h"

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

// Function::apply takes no undefined tensor, but an empty optional.
using Bias = std::optional<at::Tensor>;
Bias optional(const at::Tensor& bias) { return bias.defined() ? Bias(bias) : std::nullopt; }

bool needs_node(const at::Tensor& x) { return x.requires_grad() && at::GradMode::is_enabled(); }

struct FrozenLinear : Function<FrozenLinear> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight, const Bias& bias) {
    ctx->saved_data["weight"] = weight;
    return like_rows_of(times_transposed(rows(x), weight, bias), x);
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const at::Tensor weight = ctx->saved_data["weight"].toTensor();
    return {like_rows_of(times(rows(grads[0]), weight), grads[0]), {}, {}};
  }
};

struct FrozenLinearLowRank : Function<FrozenLinearLowRank> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight, const Bias& bias,
                            const at::Tensor& down, const at::Tensor& up, double scale) {
    const auto dtype = product_dtype(x.device(), x.scalar_type());
    const at::Tensor x_rows = rows(x).to(dtype), up_t = up.to(dtype).t();
    const at::Tensor hidden = times_transposed(x_rows, down.to(dtype), std::nullopt);  // [N, rank]
    const LowRankTerm change{hidden.mul(scale), up_t};
    const at::Tensor y = times_transposed(x_rows, weight, bias, &change);
    ctx->saved_data["weight"] = weight;
    ctx->saved_data["scale"] = scale;
    ctx->save_for_backward({x, down, up, hidden});
    return like_rows_of(y.to(x.scalar_type()), x);
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor down = saved[1], up = saved[2], hidden = saved[3];
    const at::Tensor weight = ctx->saved_data["weight"].toTensor();
    const double scale = ctx->saved_data["scale"].toDouble();
    const auto dtype = hidden.scalar_type();
    const at::Tensor x = rows(saved[0]).to(dtype), g = rows(grads[0]).to(dtype);
    const at::Tensor g_up = times(g, up.to(dtype)).mul_(scale);  // [N, rank]
    at::Tensor grad_x;
    if (ctx->needs_input_grad(0)) {
      const LowRankTerm change{g_up, down.to(dtype)};
      grad_x = like_rows_of(times(g, weight, &change).to(grads[0].scalar_type()), grads[0]);
    }
    const at::Tensor grad_down = transposed_times(g_up, x).to(down.scalar_type());
    const at::Tensor grad_up = transposed_times(hidden, g).mul_(scale).t().to(up.scalar_type()).contiguous();
    return {grad_x, {}, {}, grad_down, grad_up, {}};
  }
};

// LibTorch packs the weight at every call, which pays only where many pixels use it.
constexpr int64_t kFewPixels = 512, kVeryFewPixels = 128;

bool computes_in_fp32(const at::Tensor& x) {
  return x.is_cpu() && product_dtype(x.device(), x.scalar_type()) == at::kFloat;
}

bool uses_winograd(const at::Tensor& x, const at::Tensor& weight, ConvolutionShape shape) {
  return computes_in_fp32(x) && weight.size(2) == 3 && shape.stride == 1 && shape.padding == 1 &&
         winograd_pays(x.size(0), x.size(2), x.size(3), weight.size(1), weight.size(0));
}

bool uses_taps(const at::Tensor& x, const at::Tensor& weight, int64_t num_output_pixels) {
  if (!x.is_cpu()) return false;
  const auto dtype = product_dtype(x.device(), x.scalar_type());
  // In bf16 LibTorch's convolution is as fast from the size where its packing pays.
  if (dtype != at::kFloat) return weight.scalar_type() != dtype || num_output_pixels < kVeryFewPixels;
  const bool is_converted = weight.scalar_type() != at::kFloat || x.scalar_type() != at::kFloat;
  return is_converted || weight.size(2) == 1 || num_output_pixels < kFewPixels;
}

at::Tensor convolution(const at::Tensor& x, const at::Tensor& weight, const Bias& bias, ConvolutionShape shape) {
  if (uses_winograd(x, weight, shape)) return winograd_convolution(x, weight, bias);
  const int64_t num_output_pixels = x.size(0) * x.size(2) * x.size(3) / (shape.stride * shape.stride);
  if (uses_taps(x, weight, num_output_pixels)) return tap_convolution(x, weight, bias, shape);
  return at::conv2d(x, weight.to(x.scalar_type()), bias, shape.stride, shape.padding);
}

struct FrozenConv2d : Function<FrozenConv2d> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight, const Bias& bias,
                            int64_t stride, int64_t padding) {
    ctx->saved_data["weight"] = weight;
    ctx->saved_data["stride"] = stride;
    ctx->saved_data["padding"] = padding;
    ctx->saved_data["input_shape"] = x.sizes().vec();
    return convolution(x, weight, bias, {stride, padding});
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const at::Tensor weight = ctx->saved_data["weight"].toTensor();
    const auto stride = ctx->saved_data["stride"].toInt(), padding = ctx->saved_data["padding"].toInt();
    const auto input_shape = ctx->saved_data["input_shape"].toIntVector();
    const at::Tensor& grad = grads[0];
    if (uses_winograd(grad, weight, {stride, padding})) {
      return {winograd_convolution_backward(grad, weight), {}, {}, {}, {}};
    }
    if (uses_taps(grad, weight, grad.size(0) * grad.size(2) * grad.size(3))) {
      return {tap_convolution_backward(grad, weight, input_shape, {stride, padding}), {}, {}, {}, {}};
    }
    // The input's values are not used for its own gradient, only its shape and layout.
    const at::Tensor shape_only = at::Tensor(grad).new_empty({1}).expand(input_shape);
    const auto result =
        at::convolution_backward(grad, shape_only, weight.to(grad.scalar_type()), std::nullopt, {stride, stride},
                                 {padding, padding}, {1, 1}, false, {0, 0}, 1, {true, false, false});
    return {std::get<0>(result), {}, {}, {}, {}};
  }
};

}  // namespace

at::Tensor frozen_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  if (!needs_node(x)) return like_rows_of(times_transposed(rows(x), weight, optional(bias)), x);
  return FrozenLinear::apply(x, weight, optional(bias));
}

at::Tensor frozen_linear_low_rank(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                                  const at::Tensor& down, const at::Tensor& up, double scale) {
  return FrozenLinearLowRank::apply(x, weight, optional(bias), down, up, scale);
}

at::Tensor frozen_conv2d(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, int64_t stride,
                         int64_t padding) {
  if (!needs_node(x)) return convolution(x, weight, optional(bias), {stride, padding});
  return FrozenConv2d::apply(x, weight, optional(bias), stride, padding);
}

}  // namespace difftune::nn
