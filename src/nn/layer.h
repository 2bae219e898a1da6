// Linear and Conv2d, each with a slot for an adapter.
//
// An adapter never replaces a layer: it sits in the slot, and the layer asks it for its output. A layer whose weight
// does not require a gradient takes the frozen paths of nn/frozen.h, which keep nothing for a weight gradient.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <string>

#include "nn/parameter_scope.h"

namespace difftune::nn {

class Layer;

// What sits in a layer's slot (adapters/ implements it).
class LayerAdapter {
 public:
  virtual ~LayerAdapter() = default;
  // The layer's output for `input` with the adapter's change; `layer.base_forward(input)` is the output without it.
  virtual at::Tensor forward(const Layer& layer, const at::Tensor& input) = 0;
};

class Layer {
 public:
  enum class Kind { linear, conv2d };

  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  at::Tensor operator()(const at::Tensor& input) const {
    return adapter_ != nullptr ? adapter_->forward(*this, input) : base_forward(input);
  }
  virtual at::Tensor base_forward(const at::Tensor& input) const = 0;
  virtual Kind kind() const = 0;

  const std::string& path() const { return path_; }
  int64_t in_features() const { return in_; }
  int64_t out_features() const { return out_; }

  LayerAdapter* adapter() const { return adapter_; }
  // Null takes the adapter out. The layer does not own it.
  void set_adapter(LayerAdapter* adapter) { adapter_ = adapter; }

  // The dtype of the layer's computation; the weight may be stored in a smaller one (nn/matrix_product.h).
  c10::ScalarType dtype() const { return dtype_; }
  // False for a layer of make_shape_reader(), which knows its sizes only.
  bool is_loaded() const { return !weight.is_meta(); }

  at::Tensor weight;  // Linear: [out, in]; Conv2d: [out, in, kernel, kernel]
  at::Tensor bias;    // [out], or undefined

 protected:
  Layer(const ParameterScope& scope, int64_t in, int64_t out);
  virtual ~Layer() = default;

 private:
  std::string path_;
  int64_t in_, out_;
  c10::ScalarType dtype_;
  LayerAdapter* adapter_ = nullptr;
};

// [..., in] → [..., out]
class Linear : public Layer {
 public:
  Linear(const ParameterScope& scope, int64_t in, int64_t out, bool has_bias = true);
  at::Tensor base_forward(const at::Tensor& input) const override;
  Kind kind() const override { return Kind::linear; }
};

// [B, in, H, W] → [B, out, H', W'], square kernel.
class Conv2d : public Layer {
 public:
  Conv2d(const ParameterScope& scope, int64_t in, int64_t out, int64_t kernel, int64_t stride = 1, int64_t padding = 0);
  at::Tensor base_forward(const at::Tensor& input) const override;
  Kind kind() const override { return Kind::conv2d; }

  int64_t kernel() const { return kernel_; }
  int64_t stride() const { return stride_; }
  int64_t padding() const { return padding_; }

 private:
  int64_t kernel_, stride_, padding_;
};

}  // namespace difftune::nn
