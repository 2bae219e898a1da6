// The text encoders of CLIP (arXiv:2103.00020): OpenAI's ViT-L/14 and OpenCLIP's ViT-H and ViT-bigG, with the module
// paths of transformers' CLIPTextModel.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
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
  // ids: int64 [B, tokens <= max_positions].
  Output forward(const at::Tensor& ids) const;
  at::Tensor final_layer_norm(const at::Tensor& hidden) const;

  void set_gradient_checkpointing(bool enabled) { is_checkpointing_ = enabled; }

  const ClipTextConfig& config() const { return config_; }
  const nn::ModelIndex& index() const { return index_; }

 private:
  class EncoderLayer;

  ClipTextConfig config_;
  nn::ModelIndex index_;
  bool is_checkpointing_ = false;
  at::Tensor token_embedding_, position_embedding_;
  std::vector<std::unique_ptr<EncoderLayer>> layers_;
  std::unique_ptr<nn::LayerNorm> final_layer_norm_;
};

}  // namespace difftune
