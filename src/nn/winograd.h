// 3x3 convolutions with 2.25 times fewer multiplications: Winograd's minimal filtering F(2x2, 3x3)
// (A. Lavin, S. Gray, arXiv:1509.09308). Its transforms add and halve only, so that fp32 keeps its accuracy.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace difftune::nn {

// Whether the transforms pay: the matrix products need enough tiles of 2x2 pixels, and channels by sixteens.
bool winograd_pays(int64_t batch, int64_t height, int64_t width, int64_t in_channels, int64_t out_channels);

// The convolution of x: [B, in, H, W] with weight: [out, in, 3, 3] of any float dtype, best channels-last; stride 1,
// padding 1. Computed in fp32 → [B, out, H, W], channels-last, in the dtype of x. CPU only.
at::Tensor winograd_convolution(const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>& bias);

// The gradient for the input out of the one for the output: [B, out, H, W] → [B, in, H, W], channels-last.
at::Tensor winograd_convolution_backward(const at::Tensor& grad, const at::Tensor& weight);

}  // namespace difftune::nn
