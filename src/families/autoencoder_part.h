// The autoencoder of the diffusion transformers: FLUX's, SD3's, and Lumina's, which is FLUX's.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string_view>

#include "data/cache_formats.h"
#include "families/vae_file.h"

namespace difftune {

// Latents leave encode() as (z − shift) × scale.
struct LatentRange {
  double shift = 0, scale = 1;
};
// FLUX's, as its autoencoder stores and trains on them.
inline constexpr LatentRange kFluxLatents{0.1159, 0.3611};

class AutoencoderPart {
 public:
  // Opens the file; `option` is the one that named it. FLUX's autoencoder does not clamp the logarithm of the variance.
  AutoencoderPart(const fs::path& file, std::string_view option, LatentRange range, bool clamps_log_variance);

  void load(c10::ScalarType dtype, c10::Device device);
  void unload() { model_.reset(); }

  // See ModelFamily; the autoencoder is loaded.
  at::Tensor encode(const at::Tensor& images) const;
  at::Tensor decode(const at::Tensor& latents) const;

  int64_t pixels_per_latent() const { return config_.downscale(); }
  // The cache file of a family with this suffix.
  LatentFileFormat cache_files(std::string_view suffix) const;

 private:
  std::shared_ptr<const TensorSource> file_;
  AutoencoderConfig config_;
  LatentRange range_;
  c10::Device device_ = c10::kCPU;
  std::unique_ptr<AutoencoderKL> model_;
};

}  // namespace difftune
