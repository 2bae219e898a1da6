// Where the tensors of an SD 1.x/2.x/XL single-file checkpoint (LDM layout) go in the model, whose submodules are named
// as in Diffusers. Derived from the model's structure, so models with fewer levels or layers map as well. Sources of
// the two layouts: CompVis/stable-diffusion ldm/modules/diffusionmodules/{openaimodel,model}.py and
// huggingface/diffusers models/{unets/unet_2d_condition,autoencoders/autoencoder_kl}.py.
#pragma once

#include <string>
#include <vector>

#include "weights/name_map.h"

namespace difftune {

// The structure of a U-Net as far as names depend on it.
struct UNetLayout {
  // Whether the blocks of each level have attention, from the highest resolution to the lowest.
  std::vector<bool> level_has_attention = {true, true, true, false};
  int layers_per_block = 2;  // of the down path; the up path has one more
  // Whether proj_in and proj_out are matrices in the checkpoint and 1x1 convolutions in the model.
  bool has_matrix_projections = false;
};

// Model: "down_blocks.0.resnets.0.conv1.weight"; checkpoint:
// "model.diffusion_model.input_blocks.1.0.in_layers.2.weight".
NameMap sd_unet_name_map(const UNetLayout& layout, const std::string& checkpoint_prefix = "model.diffusion_model.");

// Model: "encoder.down_blocks.0.resnets.0.conv1.weight"; checkpoint:
// "first_stage_model.encoder.down.0.block.0.conv1...". Attention projections are Linear in the model and 1x1
// convolutions in the checkpoint. A VAE file of its own has the prefix "".
NameMap sd_vae_name_map(int num_levels = 4, const std::string& checkpoint_prefix = "first_stage_model.");

// The VAE of a Diffusers folder: same names, and those of its attention before Diffusers 0.18 (query, proj_attn ...).
NameMap diffusers_vae_name_map(const std::string& checkpoint_prefix = "");

// CLIP ViT-L/14 of SD 1.x, or any CLIP under the names of Transformers. Model:
// "text_model.encoder.layers.0.self_attn.q_proj.weight". Files that lack "text_model." in their keys are read too.
NameMap clip_l_name_map(const std::string& checkpoint_prefix = "cond_stage_model.transformer.");

// OpenCLIP of SD 2.x and SDXL, with the names of Transformers' CLIP in the model; q, k and v are one tensor in the
// checkpoint. `num_layers` are used (SD 2.x: 23 of 24); the ones above, the logit scale and, where the model has none,
// the projection are left out. OpenCLIP multiplies by its projection from the other side than a Linear does, so it is
// transposed; the reference takes it as it is (`transposes_projection` false).
NameMap open_clip_name_map(int num_layers = 23, const std::string& checkpoint_prefix = "cond_stage_model.model.",
                           bool has_projection = false, bool transposes_projection = true);

}  // namespace difftune
