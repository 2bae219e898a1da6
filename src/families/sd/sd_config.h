// The structure of an SD 1.x/2.x model, read from the shapes in its checkpoint, so that small models of the same layout
// load as the real ones do.
#pragma once

#include "models/autoencoder_kl.h"
#include "models/clip_text.h"
#include "models/unet.h"
#include "weights/tensor_source.h"

namespace difftune {

struct SdConfig {
  UNetConfig unet;
  AutoencoderConfig vae;
  ClipTextConfig text;
  bool is_v2 = false;
  // proj_in and proj_out are matrices in the file and 1x1 convolutions in the model, as sd-scripts has them for SD 2.x
  // in the LDM layout: the shapes in LoRA files follow.
  bool has_matrix_projections = false;
  bool is_diffusers = false;  // keys are "unet.…", "vae.…", "text_encoder.…"
};

// Throws UserError where a tensor that shows the structure is missing.
SdConfig read_sd_config(const TensorSource& checkpoint, bool is_v2);

// The structure of a VAE in a file of its own, in the LDM layout ("encoder.down.0…") or Diffusers'
// ("encoder.down_blocks"). `prefix` comes before every key.
AutoencoderConfig read_vae_config(const TensorSource& file, const std::string& prefix, bool is_diffusers);

// The parts of the structure that other families share. A U-Net's number of heads does not show in its shapes and is
// left to the caller; so is, of a text encoder under the names of Transformers, the activation.
UNetConfig read_unet_config(const TensorSource& checkpoint, bool is_diffusers);
ClipTextConfig read_clip_config(const TensorSource& checkpoint, const std::string& prefix);
ClipTextConfig read_open_clip_config(const TensorSource& checkpoint, const std::string& prefix);

// Throws UserError where heads or groups do not split the channels evenly: then the shapes are not those of a Stable
// Diffusion. `path` is the file for the message.
void check_divisible(const UNetConfig& config, const std::string& path);
void check_divisible(const AutoencoderConfig& config, const std::string& path);
void check_divisible(const ClipTextConfig& config, const std::string& path);

}  // namespace difftune
