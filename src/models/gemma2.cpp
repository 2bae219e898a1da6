#include "models/gemma2.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tanh.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "nn/attention.h"
#include "nn/checkpoint.h"

namespace difftune {
namespace {

// Root mean square norm (arXiv:1910.07467) in fp32 whose weight counts from 1.
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight) {
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor normed = wide * at::rsqrt(wide.square().mean(-1, /*keepdim=*/true) + 1e-6);
  return (normed * (1 + weight.to(at::kFloat))).to(x.scalar_type());
}

// Rotary position embedding (arXiv:2104.09864), dimension i paired with i + d / 2: cosines and sines of
// position × theta^(-2 i / d), [tokens, d] each.
struct Rotation {
  at::Tensor cosine, sine;
};

Rotation make_rotation(const Gemma2Config& config, int64_t num_tokens, const at::TensorOptions& options) {
  const auto fp32 = options.dtype(at::kFloat);
  const at::Tensor exponents = at::arange(0, config.head_size, 2, fp32) / static_cast<double>(config.head_size);
  const at::Tensor frequencies = 1 / at::pow(config.rope_theta, exponents);
  const at::Tensor half = at::outer(at::arange(num_tokens, fp32), frequencies), angles = at::cat({half, half}, -1);
  return {at::cos(angles).to(options.dtype()), at::sin(angles).to(options.dtype())};
}

at::Tensor rotate(const at::Tensor& x, const Rotation& by) {  // x: [B, heads, tokens, d]
  const auto halves = x.chunk(2, -1);
  return x * by.cosine + at::cat({-halves[1], halves[0]}, -1) * by.sine;
}

// Which tokens (columns) each token (row) sees: itself and the ones before, without padding. [1 or B, 1, tokens,
// tokens].
at::Tensor visible_tokens(const at::Tensor& ids, const at::Tensor& mask) {
  const int64_t n = ids.size(1);
  const at::Tensor causal = at::ones({n, n}, ids.options().dtype(at::kBool)).tril().view({1, 1, n, n});
  return mask.defined() ? causal & mask.to(at::kBool).view({mask.size(0), 1, 1, n}) : causal;
}

}  // namespace

class Gemma2::DecoderLayer {
 public:
  DecoderLayer(const nn::ParameterScope& scope, const Gemma2Config& c)
      : q_proj(scope / "self_attn" / "q_proj", c.hidden_size, c.num_heads * c.head_size, false),
        k_proj(scope / "self_attn" / "k_proj", c.hidden_size, c.num_key_value_heads * c.head_size, false),
        v_proj(scope / "self_attn" / "v_proj", c.hidden_size, c.num_key_value_heads * c.head_size, false),
        o_proj(scope / "self_attn" / "o_proj", c.num_heads * c.head_size, c.hidden_size, false),
        gate_proj(scope / "mlp" / "gate_proj", c.hidden_size, c.intermediate_size, false),
        up_proj(scope / "mlp" / "up_proj", c.hidden_size, c.intermediate_size, false),
        down_proj(scope / "mlp" / "down_proj", c.intermediate_size, c.hidden_size, false),
        config_(c) {
    const auto read = [&](at::Tensor& weight, const char* name) {
      (scope / name).read(weight, "weight", {c.hidden_size}, nn::Init::zeros);
    };
    read(input_layernorm, "input_layernorm");
    read(post_attention_layernorm, "post_attention_layernorm");
    read(pre_feedforward_layernorm, "pre_feedforward_layernorm");
    read(post_feedforward_layernorm, "post_feedforward_layernorm");
  }

  at::Tensor forward(const at::Tensor& x, const Rotation& rotation, const at::Tensor& visible) const {
    const at::Tensor attended = attend(rms_norm(x, input_layernorm), rotation, visible);
    const at::Tensor y = x + rms_norm(attended, post_attention_layernorm);
    const at::Tensor h = rms_norm(y, pre_feedforward_layernorm);
    const at::Tensor fed = down_proj(at::gelu(gate_proj(h), "tanh") * up_proj(h));
    return y + rms_norm(fed, post_feedforward_layernorm);
  }

 private:
  at::Tensor attend(const at::Tensor& x, const Rotation& rotation, const at::Tensor& visible) const {
    const auto heads_first = [&](const at::Tensor& t, int64_t num_heads) {  // [B, heads, tokens, head size]
      return t.view({t.size(0), t.size(1), num_heads, config_.head_size}).transpose(1, 2);
    };
    const at::Tensor q = rotate(heads_first(q_proj(x), config_.num_heads), rotation);
    const at::Tensor k = rotate(heads_first(k_proj(x), config_.num_key_value_heads), rotation);
    const at::Tensor v = heads_first(v_proj(x), config_.num_key_value_heads);
    const int64_t shared_by = config_.num_heads / config_.num_key_value_heads;
    const at::Tensor out =
        weighted_values(q, k.repeat_interleave(shared_by, 1), v.repeat_interleave(shared_by, 1), visible);
    return o_proj(out.transpose(1, 2).flatten(2));
  }

  at::Tensor weighted_values(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                             const at::Tensor& visible) const {
    if (config_.score_cap == 0) {
      return nn::attention_of_heads(q, k, v, visible, /*is_causal=*/false, config_.query_scale);
    }
    const at::Tensor scores = at::matmul(q, k.transpose(2, 3)) * config_.query_scale;
    const at::Tensor capped = at::tanh(scores / config_.score_cap) * config_.score_cap;
    const at::Tensor seen = capped.masked_fill(visible.logical_not(), -std::numeric_limits<double>::infinity());
    return at::matmul(at::softmax(seen, -1, at::kFloat).to(q.scalar_type()), v);
  }

  nn::Linear q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj;
  at::Tensor input_layernorm, post_attention_layernorm, pre_feedforward_layernorm, post_feedforward_layernorm;
  Gemma2Config config_;
};

Gemma2::~Gemma2() = default;

Gemma2::Gemma2(const Gemma2Config& config, nn::ParameterReader& reader) : config_(config) {
  const nn::ParameterScope scope(reader, index_);
  (scope / "embed_tokens")
      .read(embed_tokens_, "weight", {config.vocabulary_size, config.hidden_size}, nn::Init::normal_002);
  for (int64_t i = 0; i < config.num_layers; ++i) {
    layers_.push_back(std::make_unique<DecoderLayer>(scope / "layers" / i, config));
  }
  (scope / "norm").read(norm_, "weight", {config.hidden_size}, nn::Init::zeros);
}

at::Tensor Gemma2::forward(const at::Tensor& ids, const at::Tensor& mask) const {
  DT_CHECK(ids.dim() == 2 && (!mask.defined() || mask.sizes() == ids.sizes()), "ids and mask are [B, tokens]");
  const at::Tensor embedded = at::embedding(embed_tokens_, ids).to(dtype());
  // The factor is rounded to the dtype first, as in the original.
  const at::Tensor scale = at::scalar_tensor(std::sqrt(static_cast<double>(config_.hidden_size)), embedded.options());
  at::Tensor x = embedded * scale;
  const Rotation rotation = make_rotation(config_, ids.size(1), x.options());
  const at::Tensor visible = visible_tokens(ids, mask);
  for (size_t i = 0; i + 1 < layers_.size(); ++i) {
    const auto& layer = *layers_[i];
    x = is_checkpointing_ ? nn::checkpoint(
                                [&](const auto& in) {
                                  return layer.forward(in[0], {in[1], in[2]}, in[3]);
                                },
                                {x, rotation.cosine, rotation.sine, visible})
                          : layer.forward(x, rotation, visible);
  }
  return x;
}

}  // namespace difftune
