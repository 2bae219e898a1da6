// The small Stable Diffusion model while it is trained: its parts, new or from a file, and their way back into one.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "base/files.h"
#include "families/sd/sd_config.h"
#include "image/image.h"

namespace difftune::tiny {

// The edge of its pictures: 8 x 8 latents.
inline constexpr int kPictureSizePx = 64;
// Stable Diffusion 1.x's factor between the autoencoder's latents and what the U-Net sees.
inline constexpr double kLatentScale = 0.18215;

struct TinyModel {
  SdConfig config;
  std::unique_ptr<ClipText> text;
  std::unique_ptr<AutoencoderKL> vae;
  std::unique_ptr<UNet> unet;
};

// The structure of tiny-sd, and random weights.
TinyModel new_tiny_model(uint64_t seed);
// The structure and weights of a single-file checkpoint, in float32.
TinyModel load_tiny_model(const fs::path& path);
// Writes a single-file checkpoint in the LDM layout in float16. Throws InternalError where a weight is not finite.
void save_tiny_model(const TinyModel& model, const fs::path& path);

// RGB pictures of one size as [B, 3, H, W] in -1 to 1, and back (rounded, clamped).
at::Tensor to_tensor(const std::vector<Image>& pictures);
std::vector<Image> to_pictures(const at::Tensor& tensor);

// What the U-Net is told by captions: [B, 77, size].
at::Tensor encode_captions(const ClipText& text, const std::vector<std::string>& captions);

// All tensors of `index`, each of which will get a gradient.
std::vector<at::Tensor> trainable_parameters(const nn::ModelIndex& index);

}  // namespace difftune::tiny
