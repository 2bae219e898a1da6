// The encoder of T5 v1.1 (arXiv:1910.10683; gated GELU: arXiv:2002.05202), with the module paths of transformers'
// T5EncoderModel.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "nn/layer.h"

namespace difftune {

// The sizes of T5 v1.1 XXL.
struct T5EncoderConfig {
  int64_t vocabulary_size = 32128;
  int64_t hidden_size = 4096;
  int64_t intermediate_size = 10240;
  int64_t num_layers = 24;
  int64_t num_heads = 64;
  int64_t head_size = 64;
  // Distances between tokens fall into this many classes, half of them for tokens to the right; from `max_distance` on
  // they are one.
  int64_t num_distance_buckets = 32;
  int64_t max_distance = 128;
};

class T5Encoder {
 public:
  T5Encoder(const T5EncoderConfig& config, nn::ParameterReader& reader);
  ~T5Encoder();
  T5Encoder(const T5Encoder&) = delete;

  // ids: int64 [B, tokens]; mask: [B, tokens], 0 where a token is not to be seen, undefined for all seen
  // → [B, tokens, hidden_size], final norm applied.
  at::Tensor forward(const at::Tensor& ids, const at::Tensor& mask = {}) const;

  void set_gradient_checkpointing(bool enabled) { is_checkpointing_ = enabled; }

  const T5EncoderConfig& config() const { return config_; }
  const nn::ModelIndex& index() const { return index_; }
  // The dtype of the computation.
  c10::ScalarType dtype() const { return final_layer_norm_.scalar_type(); }

 private:
  class Block;

  // What is added to the attention scores of every block: [1 or B, heads, tokens, tokens].
  at::Tensor attention_bias(const at::Tensor& ids, const at::Tensor& mask) const;

  T5EncoderConfig config_;
  nn::ModelIndex index_;
  bool is_checkpointing_ = false;
  at::Tensor embedding_, distance_bias_, final_layer_norm_;
  std::vector<std::unique_ptr<Block>> blocks_;
};

}  // namespace difftune
