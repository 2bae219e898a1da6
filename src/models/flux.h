// The transformer of FLUX.1 (black-forest-labs/flux, src/flux/model.py), with the names of its checkpoints.
//
// Double blocks have weights of their own for text and image and attend jointly; single blocks see both as one
// sequence. A block is conditioned on vectors of shifts, scales and gates: FLUX makes them in every block from one
// vector, Chroma (models/chroma.h) all at once.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "models/dit.h"
#include "nn/block_memory.h"
#include "nn/layer.h"
#include "nn/rms_norm.h"
#include "nn/rope.h"

namespace difftune {

struct FluxConfig {
  int64_t in_channels = 64;  // of a token: 16 latent channels of 2 x 2
  int64_t context_size = 4096;
  int64_t vector_size = 768;  // of the pooled text; Chroma has none
  int64_t hidden_size = 3072;
  int64_t mlp_size = 12288;
  int64_t num_heads = 24;
  int64_t num_double_blocks = 19, num_single_blocks = 38;
  bool has_guidance = true;  // schnell has none

  int64_t head_size() const { return hidden_size / num_heads; }
  // Features of a head that carry the index of an image, its row and its column: 16, 56 and 56 of 128.
  std::vector<int64_t> rope_sizes() const;
};

namespace flux {

// What conditions a block as vectors [B, n, size]: shift, scale and gate of its attention, then of its MLP.
class ModulationLayer {
 public:
  ModulationLayer(const nn::ParameterScope& scope, int64_t size, int64_t num_vectors);
  // silu(vector): [B, size] → [B, num_vectors, size]
  at::Tensor operator()(const at::Tensor& activated_vector) const;

  nn::Linear lin;
};

class QkNorm {
 public:
  QkNorm(const nn::ParameterScope& scope, int64_t head_size);

  nn::RmsNorm query_norm, key_norm;
};

// The parts of an attention: its block joins them.
class SelfAttention {
 public:
  SelfAttention(const nn::ParameterScope& scope, int64_t size, int64_t num_heads);
  struct Heads {
    at::Tensor q, k, v;  // [B, heads, N, d]
  };
  Heads heads(const at::Tensor& x) const;

  nn::Linear qkv;
  QkNorm norm;
  nn::Linear proj;

 private:
  int64_t num_heads_;
};

class FeedForward {
 public:
  FeedForward(const nn::ParameterScope& scope, int64_t size, int64_t mlp_size);
  at::Tensor operator()(const at::Tensor& x) const;

  nn::Linear in_layer, out_layer;  // "0" and "2"
};

// What the blocks of one forward pass share.
struct Sequence {
  nn::Rotations rotations;  // of text, then image
  at::Tensor mask;          // of keys [B, 1, 1, M + N], or undefined
};

class DoubleBlock {
 public:
  DoubleBlock(const nn::ParameterScope& scope, const FluxConfig& config, bool makes_modulation);
  struct Streams {
    at::Tensor img;  // [B, N, size]
    at::Tensor txt;  // [B, M, size]
  };
  // Modulations: [B, 6, size] each.
  Streams forward(const Streams& in, const at::Tensor& img_vectors, const at::Tensor& txt_vectors,
                  const Sequence& sequence) const;

  std::optional<ModulationLayer> img_mod;
  SelfAttention img_attn;
  FeedForward img_mlp;
  std::optional<ModulationLayer> txt_mod;
  SelfAttention txt_attn;
  FeedForward txt_mlp;
};

class SingleBlock {
 public:
  SingleBlock(const nn::ParameterScope& scope, const FluxConfig& config, bool makes_modulation);
  // x: [B, M + N, size]; vectors: [B, 3, size]
  at::Tensor forward(const at::Tensor& x, const at::Tensor& vectors, const Sequence& sequence) const;

  nn::Linear linear1, linear2;  // qkv and the MLP's first layer in one product; proj and its second in another
  QkNorm norm;
  std::optional<ModulationLayer> modulation;

 private:
  int64_t size_, num_heads_;
};

class LastLayer {
 public:
  LastLayer(const nn::ParameterScope& scope, const FluxConfig& config, bool makes_modulation);
  // shift and scale: [B, 1, size] each.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale) const;

  nn::Linear linear;
  std::optional<nn::Linear> adaLN_modulation;  // "1"
};

// Makes the vectors that condition block number i, for the two streams of a double block, and for the last layer
// [B, 2, size].
struct Conditioner {
  std::function<std::pair<at::Tensor, at::Tensor>(size_t)> double_block;
  std::function<at::Tensor(size_t)> single_block;
  std::function<at::Tensor()> last_layer;
};

// The stack of blocks that FLUX and Chroma have in common.
class Trunk {
 public:
  Trunk(const nn::ParameterScope& scope, const FluxConfig& config, bool makes_modulation);
  // img: embedded tokens [B, rows columns, size], txt: [B, M, size], text_mask: [B, M] or undefined →
  // [B, rows columns, in_channels].
  at::Tensor forward(const at::Tensor& img, const at::Tensor& txt, const at::Tensor& text_mask, int64_t rows,
                     int64_t columns, const Conditioner& conditioner) const;

  // In the order in which they run.
  nn::NamedBlocks blocks() const;

  nn::BlockMemory memory;
  std::vector<std::unique_ptr<DoubleBlock>> double_blocks;
  std::vector<std::unique_ptr<SingleBlock>> single_blocks;
  LastLayer final_layer;

 private:
  DoubleBlock::Streams run(const DoubleBlock& block, const DoubleBlock::Streams& in,
                           const std::pair<at::Tensor, at::Tensor>& vectors, const Sequence& sequence) const;
  at::Tensor run(const SingleBlock& block, const at::Tensor& x, const at::Tensor& vectors,
                 const Sequence& sequence) const;

  FluxConfig config_;
};

}  // namespace flux

// What FLUX and Chroma are told. Both give the velocity from data to noise, in the shape of `latents`.
struct FluxInput {
  at::Tensor latents;    // [B, in_channels / 4, h, w], h and w even
  at::Tensor timesteps;  // [B], 0 (data) to 1 (noise)
  at::Tensor text;       // [B, M, context_size]: T5's states
  at::Tensor vector;     // [B, vector_size]: CLIP's pooled text; FLUX only
  at::Tensor guidance;   // [B]: the strength that guidance distillation was trained with; not for schnell
  at::Tensor text_mask;  // [B, M], nonzero for tokens that are seen; undefined for all
};

class Flux {
 public:
  Flux(const FluxConfig& config, nn::ParameterReader& reader);
  Flux(const Flux&) = delete;

  at::Tensor forward(const FluxInput& input) const;

  // Computes blocks again in the backward pass instead of keeping their inner results.
  void set_gradient_checkpointing(bool enabled) { trunk_->memory.recomputes = enabled; }
  nn::BlockMemory& memory() { return trunk_->memory; }
  nn::NamedBlocks blocks() const { return trunk_->blocks(); }
  const FluxConfig& config() const { return config_; }
  const nn::ModelIndex& index() const { return index_; }

 private:
  FluxConfig config_;
  nn::ModelIndex index_;
  std::unique_ptr<nn::Linear> img_in_;
  std::unique_ptr<dit::Mlp> time_in_, vector_in_, guidance_in_;
  std::unique_ptr<nn::Linear> txt_in_;
  std::unique_ptr<flux::Trunk> trunk_;
};

}  // namespace difftune
