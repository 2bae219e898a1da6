// A convolution as one matrix product per position ("tap") of its kernel: for few pixels and many channels, where
// LibTorch's convolution spends its time on packing the weight, and for weights that are stored in half precision.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace difftune::nn {

struct ConvolutionShape {
  int64_t stride = 1, padding = 0;
};

// x: [B, in, H, W], weight: [out, in, k, k] of any float dtype, best channels-last → [B, out, H', W'], channels-last,
// in the dtype of x. CPU only.
at::Tensor tap_convolution(const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                           ConvolutionShape shape);

// The gradient for the input of shape `input_sizes`, channels-last, out of the one for the output.
at::Tensor tap_convolution_backward(const at::Tensor& grad, const at::Tensor& weight, at::IntArrayRef input_sizes,
                                    ConvolutionShape shape);

}  // namespace difftune::nn
