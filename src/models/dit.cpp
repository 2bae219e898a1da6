#include "models/dit.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/native_layer_norm.h>
#include <ATen/ops/native_layer_norm_backward.h>
#include <ATen/ops/nonzero.h>
#include <ATen/ops/ones.h>
#include <torch/csrc/autograd/custom_function.h>

#include "base/error.h"
#include "nn/attention.h"
#include "nn/functional.h"

namespace difftune::dit {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

struct ModulatedNorm : Function<ModulatedNorm> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                            double eps) {
    auto [normed, mean, rstd] = at::native_layer_norm(x, x.sizes().slice(2), {}, {}, eps);
    ctx->save_for_backward({x, scale, mean, rstd});
    ctx->saved_data["eps"] = eps;
    return (normed * (scale + 1)).add_(shift);
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &x = saved[0], &scale = saved[1], &mean = saved[2], &rstd = saved[3];
    const at::Tensor& grad = grads[0];
    at::Tensor grad_x, grad_shift, grad_scale;
    if (ctx->needs_input_grad(0)) {
      grad_x = std::get<0>(at::native_layer_norm_backward(grad * (scale + 1), x, x.sizes().slice(2), mean, rstd, {}, {},
                                                          {true, false, false}));
    }
    if (ctx->needs_input_grad(1)) grad_shift = grad.sum_to_size(scale.sizes());
    if (ctx->needs_input_grad(2)) {
      const at::Tensor normed =
          std::get<0>(at::native_layer_norm(x, x.sizes().slice(2), {}, {}, ctx->saved_data["eps"].toDouble()));
      grad_scale = (grad * normed).sum_to_size(scale.sizes());
    }
    return {grad_x, grad_shift, grad_scale, {}};
  }
};

}  // namespace

Modulation modulation(const at::Tensor& vectors, int64_t first) {
  const auto vector = [&](int64_t i) { return vectors.slice(1, 3 * first + i, 3 * first + i + 1); };
  return {vector(0), vector(1), vector(2)};
}

at::Tensor modulated_norm(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale, double eps) {
  DT_CHECK(x.dim() == 3 && shift.dim() == 3 && scale.sizes() == shift.sizes(), "{} axes", x.dim());
  return ModulatedNorm::apply(x, shift, scale, eps);
}

std::vector<at::Tensor> split_heads(const at::Tensor& x, int64_t num_parts, int64_t num_heads) {
  const int64_t head = x.size(2) / (num_parts * num_heads);
  const at::Tensor parts = x.view({x.size(0), x.size(1), num_parts, num_heads, head}).permute({2, 0, 3, 1, 4});
  return parts.unbind(0);
}

at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& mask) {
  return nn::attention_of_heads(q, k, v, mask).transpose(1, 2).flatten(2);
}

at::Tensor gelu_tanh(const at::Tensor& x) { return at::gelu(x, "tanh"); }

Mlp::Mlp(const nn::ParameterScope& first, const nn::ParameterScope& second, int64_t in, int64_t size)
    : in_layer(first, in, size), out_layer(second, size, size) {}

at::Tensor Mlp::operator()(const at::Tensor& x) const { return out_layer(nn::silu(in_layer(x))); }

at::Tensor to_patches(const at::Tensor& latents, int64_t patch, bool channels_last) {
  const int64_t batch = latents.size(0), channels = latents.size(1), rows = latents.size(2) / patch,
                columns = latents.size(3) / patch;
  DT_CHECK(rows * patch == latents.size(2) && columns * patch == latents.size(3), "latents of {}x{} in patches of {}",
           latents.size(2), latents.size(3), patch);
  const at::Tensor grid = latents.reshape({batch, channels, rows, patch, columns, patch});
  const at::Tensor tokens = channels_last ? grid.permute({0, 2, 4, 3, 5, 1}) : grid.permute({0, 2, 4, 1, 3, 5});
  return tokens.reshape({batch, rows * columns, channels * patch * patch});
}

at::Tensor from_patches(const at::Tensor& tokens, int64_t patch, int64_t height, int64_t width, bool channels_last) {
  const int64_t batch = tokens.size(0), channels = tokens.size(2) / (patch * patch), rows = height / patch,
                columns = width / patch;
  const at::Tensor grid = channels_last
                              ? tokens.view({batch, rows, columns, patch, patch, channels}).permute({0, 5, 1, 3, 2, 4})
                              : tokens.view({batch, rows, columns, channels, patch, patch}).permute({0, 3, 1, 4, 2, 5});
  return grid.reshape({batch, channels, height, width});
}

VisibleText visible_text(const at::Tensor& text, const at::Tensor& mask) {
  if (!mask.defined()) return {text, {}};
  const at::Tensor seen = mask.to(text.device()) != 0;
  const at::Tensor positions = at::nonzero(seen.any(0));
  const int64_t length = positions.size(0) > 0 ? positions[-1].item<int64_t>() + 1 : 0;
  const at::Tensor kept = seen.slice(1, 0, length);
  return {text.slice(1, 0, length), kept.all().item<bool>() ? at::Tensor() : kept};
}

at::Tensor key_mask(const at::Tensor& mask, int64_t num_ones) {
  if (!mask.defined()) return {};
  return at::cat({mask, at::ones({mask.size(0), num_ones}, mask.options())}, 1).unsqueeze(1).unsqueeze(1);
}

}  // namespace difftune::dit
