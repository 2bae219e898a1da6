// The text encoders of CLIP (arXiv:2103.00020): OpenAI's ViT-L/14 and OpenCLIP's ViT-H and ViT-bigG, with the module
// paths of transformers' CLIPTextModelWithProjection.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <vector>

#include "nn/layer.h"
#include "nn/norm.h"

namespace difftune {

struct ClipTextConfig {
  int64_t vocabulary_size = 49408;
  int64_t max_positions = 77;
  int64_t hidden_size = 768;
  int64_t intermediate_size = 3072;
  int64_t num_layers = 12;
  int64_t num_heads = 12;
  // OpenAI's models use x σ(1.702 x); OpenCLIP's use the exact GELU.
  bool uses_quick_gelu = true;
  // Size of the projected text feature; 0: the model has none.
  int64_t projection_size = 0;
};

class ClipText {
 public:
  ClipText(const ClipTextConfig& config, nn::ParameterReader& reader);
  ~ClipText();
  ClipText(const ClipText&) = delete;

  struct Output {
    // [0] the embeddings, [i] the output of layer i: [B, tokens, hidden_size] each, without the final norm.
    std::vector<at::Tensor> hidden_states;
  };
  // ids: int64 [B, tokens <= max_positions]. Runs the first `num_layers` layers, all without it. No token sees one
  // whose `mask` [B, tokens] is 0; undefined: each sees all before it.
  Output forward(const at::Tensor& ids, std::optional<int64_t> num_layers = std::nullopt,
                 const at::Tensor& mask = {}) const;
  at::Tensor final_layer_norm(const at::Tensor& hidden) const;
  // The text feature: the last layer's output, normed, where `ids` first have `eos_id` (at the beginning where they do
  // not), times the projection. hidden: [B, tokens, hidden_size] → [B, projection_size].
  at::Tensor pool(const at::Tensor& hidden, const at::Tensor& ids, int64_t eos_id) const;

  void set_gradient_checkpointing(bool enabled) { is_checkpointing_ = enabled; }

  const ClipTextConfig& config() const { return config_; }
  const nn::ModelIndex& index() const { return index_; }

 private:
  class EncoderLayer;

  ClipTextConfig config_;
  c10::ScalarType dtype_;
  nn::ModelIndex index_;
  bool is_checkpointing_ = false;
  at::Tensor token_embedding_, position_embedding_;
  std::vector<std::unique_ptr<EncoderLayer>> layers_;
  std::unique_ptr<nn::LayerNorm> final_layer_norm_;
  std::unique_ptr<nn::Linear> text_projection_;
};

}  // namespace difftune
