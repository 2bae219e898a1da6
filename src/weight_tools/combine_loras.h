// Several LoRAs made into one, factor by factor.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "weight_tools/merge_into_checkpoint.h"

namespace difftune {

// A LoRA in memory, and what the metadata say of its size: a number, or "Dynamic" where modules differ.
struct LoraResult {
  std::vector<NamedTensor> tensors;
  std::string network_dim, network_alpha;
};

enum class Combination {
  add,          // weighted sums of the factors of equal rank
  concatenate,  // factors side by side: the exact sum of the changes, of the sum of the ranks
  add_old,      // as sd-scripts' merge_lora_old: each factor times its ratio, whatever the alphas
};

// Both factors are scaled by sqrt(alpha / first alpha) × ratio (up by its magnitude), so that two LoRAs of one training
// run give the LoRA in between. Throws UserError where ranks or shapes differ and factors are added.
LoraResult combine_loras(const std::vector<MergeInput>& inputs, Combination combination, const MergeRules& rules);

// Puts the ranks of every module into a random order, which changes no output.
void shuffle_ranks(std::vector<NamedTensor>& lora);

// Casts every tensor, alphas too, and refuses what does not survive it.
void convert_lora(std::vector<NamedTensor>& lora, c10::ScalarType dtype);

}  // namespace difftune
