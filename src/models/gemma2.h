// Gemma 2 (arXiv:2408.00118) as a text encoder, with the module paths of transformers' Gemma2Model.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "nn/layer.h"

namespace difftune {

// The sizes of Gemma 2 2B.
struct Gemma2Config {
  int64_t vocabulary_size = 256000;
  int64_t hidden_size = 2304;
  int64_t intermediate_size = 9216;
  int64_t num_layers = 26;
  int64_t num_heads = 8;
  int64_t num_key_value_heads = 4;  // each serves num_heads / num_key_value_heads heads
  int64_t head_size = 256;
  double query_scale = 1.0 / 16;  // of the attention scores: query_pre_attn_scalar^-1/2
  double rope_theta = 10000;
  // Scores s become cap × tanh(s / cap), as the model was trained with (50); 0 leaves them, as transformers does where
  // it computes attention by sdpa, which is how Lumina-Image 2.0 uses the model.
  double score_cap = 0;
};

class Gemma2 {
 public:
  Gemma2(const Gemma2Config& config, nn::ParameterReader& reader);
  ~Gemma2();
  Gemma2(const Gemma2&) = delete;

  // The output of the last layer but one, which has seen no final norm: transformers' hidden_states[-2].
  // ids: int64 [B, tokens]; mask: [B, tokens], 0 for padding on the right, which no token sees; undefined for none
  // → [B, tokens, hidden_size].
  at::Tensor forward(const at::Tensor& ids, const at::Tensor& mask = {}) const;

  void set_gradient_checkpointing(bool enabled) { is_checkpointing_ = enabled; }

  const Gemma2Config& config() const { return config_; }
  const nn::ModelIndex& index() const { return index_; }
  // The dtype of the computation.
  c10::ScalarType dtype() const { return norm_.scalar_type(); }

 private:
  class DecoderLayer;

  Gemma2Config config_;
  nn::ModelIndex index_;
  bool is_checkpointing_ = false;
  at::Tensor embed_tokens_, norm_;
  std::vector<std::unique_ptr<DecoderLayer>> layers_;
};

}  // namespace difftune
