// The layers of SD3's transformer that adapters may sit on, and the arguments of networks.lora_sd3.
#pragma once

#include <vector>

#include "adapters/adapter.h"
#include "adapters/lora_arguments.h"
#include "models/mmdit.h"

namespace difftune {

LoraArguments sd3_lora_arguments();

// Those of the joint blocks in their order, then the embedders and the last layer, which have a LoRA only where
// emb_dims asks for it.
void add_sd3_targets(const MMDiT& model, std::vector<AdapterTarget>& targets);

}  // namespace difftune
