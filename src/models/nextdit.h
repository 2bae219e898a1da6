// The transformer of Lumina-Image 2.0, Next-DiT (arXiv:2503.21758; Alpha-VLLM/Lumina-Image-2.0, models/model.py), with
// the names of its checkpoint.
//
// Text and image are refined apart and then seen as one sequence. Blocks have norms before and behind attention and
// feed-forward ("sandwich"), grouped-query attention with normalised queries and keys, and positions on three axes.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <vector>

#include "models/dit.h"
#include "nn/block_memory.h"
#include "nn/layer.h"
#include "nn/rms_norm.h"
#include "nn/rope.h"

namespace difftune {

struct NextDiTConfig {
  int64_t patch_size = 2;
  int64_t in_channels = 16;
  int64_t hidden_size = 2304;
  int64_t mlp_size = 9216;
  int64_t num_heads = 24, num_kv_heads = 8;
  int64_t num_layers = 26, num_refiners = 2;
  int64_t caption_size = 2304;
  int64_t time_size = 1024;

  int64_t head_size() const { return hidden_size / num_heads; }
};

namespace nextdit {

// What the tokens of one sequence share.
struct Sequence {
  nn::Rotations rotations;
  at::Tensor mask;  // of keys [B, 1, 1, N], or undefined
};

class JointAttention {
 public:
  JointAttention(const nn::ParameterScope& scope, const NextDiTConfig& config);
  at::Tensor operator()(const at::Tensor& x, const Sequence& sequence) const;

  nn::Linear qkv, out;
  nn::RmsNorm q_norm, k_norm;

 private:
  int64_t num_heads_, num_kv_heads_, head_size_;
};

// SwiGLU (arXiv:2002.05202).
class FeedForward {
 public:
  FeedForward(const nn::ParameterScope& scope, int64_t size, int64_t mlp_size);
  at::Tensor operator()(const at::Tensor& x) const;

  nn::Linear w1, w2, w3;
};

class Block {
 public:
  Block(const nn::ParameterScope& scope, const NextDiTConfig& config, bool has_modulation);
  // x: [B, N, size]; activated_time: silu of the time embedding [B, time_size], undefined without modulation.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& activated_time, const Sequence& sequence) const;

  JointAttention attention;
  FeedForward feed_forward;
  nn::RmsNorm attention_norm1, ffn_norm1, attention_norm2, ffn_norm2;
  std::optional<nn::Linear> adaLN_modulation;  // "1"
};

}  // namespace nextdit

class NextDiT {
 public:
  NextDiT(const NextDiTConfig& config, nn::ParameterReader& reader);
  NextDiT(const NextDiT&) = delete;

  struct Input {
    at::Tensor latents;       // [B, C, h, w], h and w even
    at::Tensor timesteps;     // [B], 0 (noise) to 1 (data)
    at::Tensor caption;       // [B, M, caption_size]: Gemma's states
    at::Tensor caption_mask;  // [B, M], nonzero for tokens that are seen; undefined for all
  };
  // The velocity from noise to data, in the shape of `latents`.
  at::Tensor forward(const Input& input) const;

  void set_gradient_checkpointing(bool enabled) { memory_.recomputes = enabled; }
  nn::BlockMemory& memory() { return memory_; }
  // Those whose weights may wait elsewhere, in the order in which they run.
  nn::NamedBlocks blocks() const;
  const NextDiTConfig& config() const { return config_; }
  const nn::ModelIndex& index() const { return index_; }

 private:
  at::Tensor run(const nextdit::Block& block, const at::Tensor& x, const at::Tensor& time,
                 const nextdit::Sequence& sequence) const;

  NextDiTConfig config_;
  nn::ModelIndex index_;
  nn::BlockMemory memory_;
  std::unique_ptr<nn::Linear> x_embedder_;
  std::unique_ptr<dit::Mlp> t_embedder_;
  std::unique_ptr<nn::RmsNorm> caption_norm_;
  std::unique_ptr<nn::Linear> cap_embedder_;
  std::vector<std::unique_ptr<nextdit::Block>> context_refiner_, noise_refiner_, layers_;
  std::unique_ptr<nn::Linear> final_linear_, final_modulation_;
};

}  // namespace difftune
