// What diffusion transformers share (DiT, arXiv:2212.09748): adaptive layer norm, gates, embeddings of a step.
#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>

#include "nn/layer.h"
#include "nn/rms_norm.h"

namespace difftune::dit {

// What conditions one half of a block, each [B, 1, size].
struct Modulation {
  at::Tensor shift, scale, gate;
};

// The `first`-th group of three out of vectors [B, n, size].
Modulation modulation(const at::Tensor& vectors, int64_t first);

// (1 + scale) norm(x) + shift for x: [B, N, size], with a layer norm that has no weights. One node that keeps x.
at::Tensor modulated_norm(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale, double eps = 1e-6);

// [B, N, K heads d] → K tensors of [B, heads, N, d].
std::vector<at::Tensor> split_heads(const at::Tensor& x, int64_t num_parts, int64_t num_heads);

// softmax(q kᵀ / sqrt(d)) v of [B, heads, N, d], joined: [B, N, heads d]. `mask` is boolean and says which keys are
// seen, broadcast to [B, heads, N, M]; undefined for all.
at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& mask = {});

// gelu by tanh, as all of these models have it.
at::Tensor gelu_tanh(const at::Tensor& x);

// Linear, silu, linear. The names of the two layers differ from model to model.
class Mlp {
 public:
  Mlp(const nn::ParameterScope& first, const nn::ParameterScope& second, int64_t in, int64_t size);
  at::Tensor operator()(const at::Tensor& x) const;

  nn::Linear in_layer, out_layer;
};

// Image latents [B, C, h, w] as tokens of p x p patches, row by row: [B, (h / p) (w / p), C p p]. Features of a token
// are ordered (c, y, x), or (y, x, c) with `channels_last`.
at::Tensor to_patches(const at::Tensor& latents, int64_t patch, bool channels_last = false);
// The inverse, for latents of height h and width w.
at::Tensor from_patches(const at::Tensor& tokens, int64_t patch, int64_t height, int64_t width,
                        bool channels_last = false);

// Which text tokens are seen, in a form that costs least: text cut behind the last one that is seen by any sample, and
// a mask where samples differ. Keys that are cut were masked, so nothing else changes.
struct VisibleText {
  at::Tensor text;  // [B, M', size]
  at::Tensor mask;  // [B, M'] boolean, or undefined where all are seen
};
// mask: [B, M], nonzero for tokens that are seen; undefined for all.
VisibleText visible_text(const at::Tensor& text, const at::Tensor& mask);

// [B, M] boolean before `num_ones` true ones, as a mask of keys: [B, 1, 1, M + num_ones]. Undefined stays so.
at::Tensor key_mask(const at::Tensor& mask, int64_t num_ones);

}  // namespace difftune::dit
