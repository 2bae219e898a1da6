// The variational autoencoder of latent diffusion (arXiv:2112.10752, CompVis/latent-diffusion autoencoder.py), with the
// module paths of Diffusers' AutoencoderKL.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "nn/layer.h"
#include "nn/norm.h"

namespace difftune {

struct AutoencoderConfig {
  int64_t image_channels = 3;
  int64_t latent_channels = 4;
  std::vector<int64_t> block_channels = {128, 256, 512, 512};
  int64_t num_resnets_per_block = 2;
  int64_t norm_groups = 32;
  // 1x1 convolutions around the latents; the 16-channel autoencoders have none.
  bool has_quant_conv = true;
  // Whether encode() keeps log variances in [-30, 20]; FLUX's autoencoder does not.
  bool clamps_log_variance = true;

  // Pixels per latent along one side.
  int64_t downscale() const { return int64_t{1} << (block_channels.size() - 1); }
};

// The distribution that an image is encoded to: [B, latent_channels, h, w] each.
struct LatentDistribution {
  at::Tensor mean, log_variance;
  // mean + standard deviation × noise, noise drawn from the default generator of the device in the dtype of the mean.
  at::Tensor sample() const;
};

class AutoencoderKL {
 public:
  AutoencoderKL(const AutoencoderConfig& config, nn::ParameterReader& reader);
  ~AutoencoderKL();
  AutoencoderKL(const AutoencoderKL&) = delete;

  // images: [B, 3, H, W] in [-1, 1], H and W multiples of downscale().
  LatentDistribution encode(const at::Tensor& images) const;
  // latents, unscaled: [B, latent_channels, h, w] → [B, 3, H, W], about [-1, 1].
  at::Tensor decode(const at::Tensor& latents) const;

  const AutoencoderConfig& config() const { return config_; }
  const nn::ModelIndex& index() const { return index_; }
  c10::ScalarType dtype() const;

 private:
  struct Encoder;
  struct Decoder;

  AutoencoderConfig config_;
  nn::ModelIndex index_;
  std::unique_ptr<Encoder> encoder_;
  std::unique_ptr<Decoder> decoder_;
  std::unique_ptr<nn::Conv2d> quant_conv_, post_quant_conv_;
};

}  // namespace difftune
