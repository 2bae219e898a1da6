// The layers of Lumina's transformer that adapters may sit on, and the arguments of networks.lora_lumina.
#pragma once

#include <vector>

#include "adapters/adapter.h"
#include "adapters/lora_arguments.h"
#include "models/gemma2.h"
#include "models/nextdit.h"

namespace difftune {

// With `reference_quirks` mlp_dim is the rank of the step's embedder, whose name it is a part of there.
LoraArguments lumina_lora_arguments(bool reference_quirks);

// Context refiner, noise refiner, layers, the last layer; then the embedders where embedder_dims asks for them.
void add_lumina_targets(const NextDiT& model, std::vector<AdapterTarget>& targets);
// "lora_te_layers_0_self_attn_q_proj".
void add_gemma_targets(const Gemma2& model, int component, std::vector<AdapterTarget>& targets);

}  // namespace difftune
