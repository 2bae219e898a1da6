#include "nn/layer.h"

#include <ATen/ops/conv2d.h>
#include <ATen/ops/linear.h>

#include "nn/frozen.h"

namespace difftune::nn {

Layer::Layer(const ParameterScope& scope, int64_t in, int64_t out)
    : path_(scope.path()), in_(in), out_(out), dtype_(scope.dtype()) {
  scope.index().layers.push_back(this);
}

Linear::Linear(const ParameterScope& scope, int64_t in, int64_t out, bool has_bias) : Layer(scope, in, out) {
  scope.read(weight, "weight", {out, in}, Init::uniform_fan_in, in);
  if (has_bias) scope.read(bias, "bias", {out}, Init::uniform_fan_in, in);
}

at::Tensor Linear::base_forward(const at::Tensor& input) const {
  return weight.requires_grad() ? at::linear(input, weight, bias) : frozen_linear(input, weight, bias);
}

Conv2d::Conv2d(const ParameterScope& scope, int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t padding)
    : Layer(scope, in, out), kernel_(kernel), stride_(stride), padding_(padding) {
  scope.read(weight, "weight", {out, in, kernel, kernel}, Init::uniform_fan_in, in * kernel * kernel);
  // Convolutions run channels-last; packing the weight once spares a reordering at every call.
  weight = weight.contiguous(at::MemoryFormat::ChannelsLast);
  scope.read(bias, "bias", {out}, Init::uniform_fan_in, in * kernel * kernel);
}

at::Tensor Conv2d::base_forward(const at::Tensor& input) const {
  if (weight.requires_grad()) return at::conv2d(input, weight, bias, stride_, padding_);
  return frozen_conv2d(input, weight, bias, stride_, padding_);
}

}  // namespace difftune::nn
