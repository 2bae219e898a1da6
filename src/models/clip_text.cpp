#include "models/clip_text.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/eq.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <limits>

#include "base/error.h"
#include "nn/attention.h"
#include "nn/checkpoint.h"
#include "nn/functional.h"

namespace difftune {

class ClipText::EncoderLayer {
 public:
  // The projections are built in the order k, v, q, out, in which transformers declares them: LoRA modules follow it.
  EncoderLayer(const nn::ParameterScope& scope, const ClipTextConfig& config)
      : k_proj(scope / "self_attn" / "k_proj", config.hidden_size, config.hidden_size),
        v_proj(scope / "self_attn" / "v_proj", config.hidden_size, config.hidden_size),
        q_proj(scope / "self_attn" / "q_proj", config.hidden_size, config.hidden_size),
        out_proj(scope / "self_attn" / "out_proj", config.hidden_size, config.hidden_size),
        layer_norm1(scope / "layer_norm1", config.hidden_size),
        fc1(scope / "mlp" / "fc1", config.hidden_size, config.intermediate_size),
        fc2(scope / "mlp" / "fc2", config.intermediate_size, config.hidden_size),
        layer_norm2(scope / "layer_norm2", config.hidden_size),
        num_heads_(config.num_heads),
        uses_quick_gelu_(config.uses_quick_gelu) {}

  // `scores` is added to the attention scores; undefined for a token that sees itself and those before it.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& scores) const {
    const at::Tensor h = layer_norm1(x);
    const at::Tensor q = q_proj(h), k = k_proj(h), v = v_proj(h);
    const at::Tensor y = x + out_proj(nn::attention(q, k, v, num_heads_, scores, /*is_causal=*/!scores.defined()));
    const at::Tensor inner = fc1(layer_norm2(y));
    return y + fc2(uses_quick_gelu_ ? nn::quick_gelu(inner) : nn::gelu(inner));
  }

 private:
  nn::Linear k_proj, v_proj, q_proj, out_proj;
  nn::LayerNorm layer_norm1;
  nn::Linear fc1, fc2;
  nn::LayerNorm layer_norm2;
  int64_t num_heads_;
  bool uses_quick_gelu_;
};

namespace {

// 0 where a token (row) sees another (column): itself and those before it whose mask [B, tokens] is not 0. Elsewhere
// -inf: [B, 1, tokens, tokens].
at::Tensor hidden_scores(const at::Tensor& mask, c10::ScalarType dtype) {
  const int64_t n = mask.size(1);
  const at::Tensor causal = at::ones({n, n}, mask.options().dtype(at::kBool)).tril();
  const at::Tensor visible = causal & mask.to(at::kBool).view({mask.size(0), 1, 1, n});
  const at::Tensor scores = at::zeros(visible.sizes(), visible.options().dtype(dtype));
  return scores.masked_fill(visible.logical_not(), -std::numeric_limits<double>::infinity());
}

}  // namespace

ClipText::~ClipText() = default;

ClipText::ClipText(const ClipTextConfig& config, nn::ParameterReader& reader)
    : config_(config), dtype_(reader.dtype()) {
  const nn::ParameterScope root(reader, index_);
  const auto scope = root / "text_model";
  (scope / "embeddings" / "token_embedding")
      .read(token_embedding_, "weight", {config.vocabulary_size, config.hidden_size}, nn::Init::normal_002);
  (scope / "embeddings" / "position_embedding")
      .read(position_embedding_, "weight", {config.max_positions, config.hidden_size}, nn::Init::normal_002);
  for (int64_t i = 0; i < config.num_layers; ++i) {
    layers_.push_back(std::make_unique<EncoderLayer>(scope / "encoder" / "layers" / i, config));
  }
  final_layer_norm_ = std::make_unique<nn::LayerNorm>(scope / "final_layer_norm", config.hidden_size);
  if (config.projection_size > 0) {
    text_projection_ =
        std::make_unique<nn::Linear>(root / "text_projection", config.hidden_size, config.projection_size, false);
  }
}

ClipText::Output ClipText::forward(const at::Tensor& ids, std::optional<int64_t> num_layers,
                                   const at::Tensor& mask) const {
  DT_CHECK(ids.dim() == 2 && ids.size(1) <= config_.max_positions, "token ids are [B, tokens]");
  const at::Tensor positions = position_embedding_.slice(0, 0, ids.size(1));
  // The tables may be stored in a smaller dtype than the model computes in.
  at::Tensor x = at::embedding(token_embedding_, ids).to(dtype_) + positions.to(dtype_);
  const at::Tensor scores = mask.defined() ? hidden_scores(mask, dtype_) : at::Tensor();
  Output output{{x}};
  for (int64_t i = 0; i < num_layers.value_or(config_.num_layers); ++i) {
    const auto& layer = layers_[static_cast<size_t>(i)];
    // A state is also a result: the alias makes the gradients of the layer's uses of it add up first, as they do where
    // the layer is computed again.
    const at::Tensor in = x.alias();
    x = is_checkpointing_
            ? nn::checkpoint([&layer](const auto& from) { return layer->forward(from[0], from[1]); }, {in, scores})
            : layer->forward(in, scores);
    output.hidden_states.push_back(x);
  }
  return output;
}

at::Tensor ClipText::final_layer_norm(const at::Tensor& hidden) const { return (*final_layer_norm_)(hidden); }

at::Tensor ClipText::pool(const at::Tensor& hidden, const at::Tensor& ids, int64_t eos_id) const {
  DT_CHECK(text_projection_, "this text encoder has a projection");
  const at::Tensor place = ids.eq(eos_id).to(at::kInt).argmax(1).view({-1, 1, 1});
  const at::Tensor states = at::gather(hidden, 1, place.expand({-1, 1, hidden.size(2)})).squeeze(1);
  return (*text_projection_)(final_layer_norm(states));
}

}  // namespace difftune
