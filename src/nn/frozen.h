// Layers whose weight is not trained, as autograd nodes of our own: they pass the gradient through to the input, and
// keep nothing that only a weight gradient would need (LibTorch's linear and convolution keep their input).
// On the CPU a weight may be stored in half precision where the input is fp32; see nn/matrix_product.h.
#pragma once

#include <ATen/core/Tensor.h>

namespace difftune::nn {

// x Wᵀ + b. x: [..., in], weight: [out, in], bias: [out] or undefined.
at::Tensor frozen_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

// x Wᵀ + b + scale (x Aᵀ) Bᵀ in one node: a frozen layer with a trained low-rank change (LoRA, arXiv:2106.09685 eq. 3).
// down A: [rank, in], up B: [out, rank]; computed in the dtype of x, gradients in theirs.
at::Tensor frozen_linear_low_rank(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                                  const at::Tensor& down, const at::Tensor& up, double scale);

// The convolution of x: [B, in, H, W] with weight [out, in, k, k]; channels-last in, channels-last out.
at::Tensor frozen_conv2d(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, int64_t stride,
                         int64_t padding);

}  // namespace difftune::nn
