// The layers of SDXL that adapters may sit on.
#pragma once

#include <vector>

#include "adapters/adapter.h"
#include "models/unet.h"
#include "weights/name_map.h"

namespace difftune {

// Layers of the U-Net. Unlike SD's they are named and ordered as in the single-file layout, whatever layout the
// checkpoint has ("lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q"), because the reference runs SDXL in
// that layout: way down, middle, way up.
void add_unet_targets(const UNet& unet, const NameMap& single_file_names, std::vector<AdapterTarget>& targets);

}  // namespace difftune
