// The structure of an SDXL model (arXiv:2307.01952), read from the shapes in its checkpoint.
#pragma once

#include "models/autoencoder_kl.h"
#include "models/clip_text.h"
#include "models/unet.h"
#include "weights/tensor_source.h"

namespace difftune {

struct SdxlConfig {
  UNetConfig unet;
  AutoencoderConfig vae;
  ClipTextConfig text1, text2;
  bool is_diffusers = false;  // keys are "unet.…", "vae.…", "text_encoder.…", "text_encoder_2.…"

  // The six sizes of the conditioning share what the pooled text leaves of the U-Net's vector.
  int64_t size_embedding() const { return (unet.vector_size - text2.projection_size) / 6; }
};

// Whether the checkpoint is one of SDXL's base model, in either layout.
bool is_sdxl(const TensorSource& checkpoint);

// Throws UserError where a tensor that shows the structure is missing or the parts do not fit each other.
SdxlConfig read_sdxl_config(const TensorSource& checkpoint);

}  // namespace difftune
