// The transformer of Stable Diffusion 3 and 3.5, MMDiT (arXiv:2403.03206; Stability-AI/sd3.5, mmditx.py), with the
// names of its checkpoints.
//
// Text ("context") and image ("x") have weights of their own in each block and attend jointly. In 3.5 medium the image
// also attends to itself in the first blocks (MMDiT-X). The last block has no text output.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "models/dit.h"
#include "nn/block_memory.h"
#include "nn/layer.h"
#include "nn/rms_norm.h"

namespace difftune {

struct MMDiTConfig {
  int64_t in_channels = 16;
  int64_t patch_size = 2;
  int64_t hidden_size = 1536;
  int64_t mlp_size = 6144;
  int64_t num_heads = 24;
  int64_t num_blocks = 24;
  int64_t context_size = 4096;
  int64_t vector_size = 2048;  // of the pooled text
  int64_t num_positions = 192 * 192;
  bool has_qk_norm = false;
  std::vector<bool> has_self_attention;  // by block; shorter than num_blocks where the last ones have none
  // The image's attention to itself runs with heads and features of a head exchanged, as the reference has it.
  bool exchanges_self_attention_heads = false;
};

namespace mmdit {

class Attention {
 public:
  Attention(const nn::ParameterScope& scope, const MMDiTConfig& config, bool has_output);
  struct Heads {
    at::Tensor q, k, v;  // [B, heads, N, d]
  };
  Heads heads(const at::Tensor& x) const;

  nn::Linear qkv;
  std::optional<nn::Linear> proj;
  std::optional<nn::RmsNorm> ln_q, ln_k;

 private:
  int64_t num_heads_;
};

class Mlp {
 public:
  Mlp(const nn::ParameterScope& scope, int64_t size, int64_t mlp_size);
  at::Tensor operator()(const at::Tensor& x) const;

  nn::Linear fc1, fc2;
};

// One of the two halves of a joint block.
class DiTBlock {
 public:
  enum class Kind { full, with_self_attention, without_output };
  DiTBlock(const nn::ParameterScope& scope, const MMDiTConfig& config, Kind kind);

  // Shifts, scales and gates out of silu(c), [B, n, size].
  at::Tensor vectors(const at::Tensor& activated_condition) const;
  // x plus the gated results of attention (and of the attention to itself) and MLP.
  at::Tensor finish(const at::Tensor& x, const at::Tensor& vectors, const at::Tensor& attention,
                    const at::Tensor& self_attention) const;

  Attention attn;
  std::optional<Attention> attn2;
  std::optional<Mlp> mlp;
  nn::Linear adaLN_modulation;  // "1"
};

class JointBlock {
 public:
  JointBlock(const nn::ParameterScope& scope, const MMDiTConfig& config, bool has_self_attention, bool is_last);
  struct Streams {
    at::Tensor context;  // [B, M, size]; undefined after the last block
    at::Tensor x;        // [B, N, size]
  };
  Streams forward(const Streams& in, const at::Tensor& activated_condition) const;

  DiTBlock context_block, x_block;

 private:
  bool exchanges_heads_;
};

}  // namespace mmdit

// Position embeddings for latents of other sizes than the model was trained on, scaled to the resolutions of a dataset
// (kohya-ss/sd-scripts, --enable_scaled_pos_embed).
class ScaledPositions {
 public:
  // `sizes`: patches along the side of a square picture of each resolution.
  ScaledPositions(std::vector<int64_t> sizes, int64_t hidden_size);
  // A table [n, n, size] for pictures of `rows` x `columns` patches.
  at::Tensor table(int64_t rows, int64_t columns) const;

 private:
  at::Tensor make(int64_t patches) const;

  std::vector<std::pair<int64_t, int64_t>> by_area_;  // largest area and the size that it takes
  int64_t hidden_size_;
};

class MMDiT {
 public:
  MMDiT(const MMDiTConfig& config, nn::ParameterReader& reader);
  MMDiT(const MMDiT&) = delete;

  struct Input {
    at::Tensor latents;    // [B, C, h, w], h and w even
    at::Tensor timesteps;  // [B], 0 to 1000
    at::Tensor context;    // [B, M, context_size]
    at::Tensor vector;     // [B, vector_size]
    // Where to draw the picture's place in the table of positions from; without it that is the middle.
    std::optional<at::Generator> place = std::nullopt;
  };
  // The velocity from data to noise, in the shape of `latents`.
  at::Tensor forward(const Input& input) const;

  void set_gradient_checkpointing(bool enabled) { memory_.recomputes = enabled; }
  nn::BlockMemory& memory() { return memory_; }
  // Those whose weights may wait elsewhere, in the order in which they run.
  nn::NamedBlocks blocks() const;
  void set_scaled_positions(ScaledPositions positions) { scaled_positions_ = std::move(positions); }
  const MMDiTConfig& config() const { return config_; }
  const nn::ModelIndex& index() const { return index_; }

 private:
  at::Tensor position_embedding(int64_t rows, int64_t columns, const std::optional<at::Generator>& place) const;
  mmdit::JointBlock::Streams run(const mmdit::JointBlock& block, const mmdit::JointBlock::Streams& in,
                                 const at::Tensor& condition) const;

  MMDiTConfig config_;
  nn::ModelIndex index_;
  nn::BlockMemory memory_;
  std::optional<ScaledPositions> scaled_positions_;

  at::Tensor pos_embed_;  // [1, num_positions, size], a square
  std::unique_ptr<nn::Conv2d> x_embedder_;
  std::unique_ptr<dit::Mlp> t_embedder_, y_embedder_;
  std::unique_ptr<nn::Linear> context_embedder_;
  std::vector<std::unique_ptr<mmdit::JointBlock>> joint_blocks_;
  std::unique_ptr<nn::Linear> final_linear_, final_modulation_;
};

}  // namespace difftune
