// The U-Net of Stable Diffusion (arXiv:2112.10752, CompVis/latent-diffusion openaimodel.py), with the module paths of
// the Diffusers layout.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <vector>

#include "nn/block_memory.h"
#include "nn/layer.h"
#include "nn/norm.h"

namespace difftune {

struct UNetConfig {
  int64_t in_channels = 4, out_channels = 4;
  std::vector<int64_t> block_channels = {320, 640, 1280, 1280};
  // Transformer blocks in each attention of a level; 0: the level has none.
  std::vector<int64_t> transformer_depth = {1, 1, 1, 0};
  std::vector<int64_t> num_heads = {8, 8, 8, 8};
  int64_t num_resnets_per_block = 2;
  int64_t context_size = 768;
  int64_t norm_groups = 32;
  // proj_in and proj_out of a transformer: a matrix over tokens, or a 1x1 convolution.
  bool uses_linear_projection = false;
  // Size of the vector that conditions next to the timestep (SDXL); 0: none.
  int64_t vector_size = 0;
};

namespace unet {

class ResnetBlock {
 public:
  ResnetBlock(const nn::ParameterScope& scope, int64_t in, int64_t out, int64_t time_size, int64_t groups);
  // x: [B, in, H, W], time: silu of the time embedding [B, time_size] → [B, out, H, W]
  at::Tensor forward(const at::Tensor& x, const at::Tensor& time) const;

  nn::GroupNorm norm1;
  nn::Conv2d conv1;
  nn::Linear time_emb_proj;
  nn::GroupNorm norm2;
  nn::Conv2d conv2;
  std::optional<nn::Conv2d> conv_shortcut;
};

class CrossAttention {
 public:
  CrossAttention(const nn::ParameterScope& scope, int64_t size, int64_t context_size, int64_t num_heads);
  // x: [B, N, size], context: [B, M, context_size]
  at::Tensor forward(const at::Tensor& x, const at::Tensor& context) const;

  nn::Linear to_q, to_k, to_v, to_out;

 private:
  int64_t num_heads_;
};

class BasicTransformerBlock {
 public:
  BasicTransformerBlock(const nn::ParameterScope& scope, int64_t size, int64_t context_size, int64_t num_heads);
  at::Tensor forward(const at::Tensor& tokens, const at::Tensor& context) const;

  CrossAttention attn1;
  nn::Linear ff_in, ff_out;  // GEGLU: value and gate in one product
  CrossAttention attn2;
  nn::LayerNorm norm1, norm2, norm3;
};

class SpatialTransformer {
 public:
  SpatialTransformer(const nn::ParameterScope& scope, const UNetConfig& config, int64_t channels, int64_t depth,
                     int64_t num_heads);
  // x: [B, C, H, W]
  at::Tensor forward(const at::Tensor& x, const at::Tensor& context) const;

 private:
  at::Tensor project(const nn::Layer& layer, const at::Tensor& tokens, at::IntArrayRef image_shape) const;

  nn::GroupNorm norm_;
  std::unique_ptr<nn::Layer, void (*)(nn::Layer*)> proj_in_;
  std::vector<std::unique_ptr<BasicTransformerBlock>> blocks_;
  std::unique_ptr<nn::Layer, void (*)(nn::Layer*)> proj_out_;
};

}  // namespace unet

class UNet {
 public:
  UNet(const UNetConfig& config, nn::ParameterReader& reader);
  ~UNet();
  UNet(const UNet&) = delete;

  struct Input {
    at::Tensor sample;     // [B, in_channels, H, W]
    at::Tensor timesteps;  // [B]
    at::Tensor context;    // [B, tokens, context_size]
    at::Tensor vector;     // [B, vector_size], where the model has one
  };
  // The prediction [B, out_channels, H, W], in the dtype of the weights. H and W must be multiples of
  // 2^(levels - 1) for exact skips; other sizes are upsampled to fit, as in Diffusers.
  at::Tensor forward(const Input& input) const;

  // Computes resnets and transformers again in the backward pass instead of keeping their inner results.
  void set_gradient_checkpointing(bool enabled) { memory_.recomputes = enabled; }
  nn::BlockMemory& memory() { return memory_; }
  // Those whose weights may wait elsewhere, in the order in which they run.
  nn::NamedBlocks blocks() const;

  const UNetConfig& config() const { return config_; }
  const nn::ModelIndex& index() const { return index_; }

 private:
  struct Level;
  at::Tensor embed_time(const Input& input) const;
  at::Tensor run(const unet::ResnetBlock& block, const at::Tensor& x, const at::Tensor& time) const;
  at::Tensor run(const unet::SpatialTransformer& block, const at::Tensor& x, const at::Tensor& context) const;

  UNetConfig config_;
  nn::ModelIndex index_;
  nn::BlockMemory memory_;

  std::unique_ptr<nn::Conv2d> conv_in_, conv_out_;
  std::unique_ptr<nn::Linear> time_linear_1_, time_linear_2_, add_linear_1_, add_linear_2_;
  std::vector<std::unique_ptr<Level>> down_, up_;
  std::unique_ptr<Level> mid_;
  std::unique_ptr<nn::GroupNorm> conv_norm_out_;
};

}  // namespace difftune
