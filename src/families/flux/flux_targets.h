// The layers of FLUX and Chroma that adapters may sit on, and the arguments of networks.lora_flux.
#pragma once

#include <vector>

#include "adapters/adapter.h"
#include "adapters/lora_arguments.h"
#include "models/flux.h"

namespace difftune {

LoraArguments flux_lora_arguments();

// The layers of the transformer: those of the blocks in their order ("lora_unet_double_blocks_0_img_attn_qkv"), then
// the embedders, which have a LoRA only where in_dims asks for it. The last layer and Chroma's guidance layer have
// none.
void add_flux_targets(const nn::ModelIndex& index, const FluxConfig& config, std::vector<AdapterTarget>& targets);

}  // namespace difftune
