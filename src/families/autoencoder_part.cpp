#include "families/autoencoder_part.h"

#include <ATen/TensorOperators.h>

#include "base/error.h"
#include "families/checkpoint_reader.h"
#include "nn/parameter_scope.h"

namespace difftune {

AutoencoderPart::AutoencoderPart(const fs::path& file, std::string_view option, LatentRange range,
                                 bool clamps_log_variance)
    : range_(range) {
  VaeFile vae = open_vae_file(file, option);
  file_ = std::move(vae.tensors);
  config_ = vae.config;
  config_.clamps_log_variance = clamps_log_variance;
}

void AutoencoderPart::load(c10::ScalarType dtype, c10::Device device) {
  device_ = device;
  model_ = std::make_unique<AutoencoderKL>(config_, *make_checkpoint_reader(file_, dtype, device));
}

at::Tensor AutoencoderPart::encode(const at::Tensor& images) const {
  DT_CHECK(model_, "the autoencoder is loaded");
  const at::Tensor latents = model_->encode(images.to(device_)).sample();
  return range_.scale == 1 && range_.shift == 0 ? latents : (latents - range_.shift) * range_.scale;
}

at::Tensor AutoencoderPart::decode(const at::Tensor& latents) const {
  DT_CHECK(model_, "the autoencoder is loaded");
  return model_->decode(range_.scale == 1 && range_.shift == 0 ? latents : latents / range_.scale + range_.shift);
}

LatentFileFormat AutoencoderPart::cache_files(std::string_view suffix) const {
  return {.suffix = std::string(suffix),
          .num_channels = config_.latent_channels,
          .pixels_per_latent = config_.downscale(),
          .has_sized_names = true};
}

}  // namespace difftune
