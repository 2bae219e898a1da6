// LoRAs of smaller ranks out of a DyLoRA (arXiv:2210.07558), whose first ranks work alone.
#pragma once

#include <vector>

#include "weight_tools/adapter_file.h"

namespace difftune {

// unit, 2 × unit … below the largest rank in the file.
std::vector<int64_t> dylora_ranks(const AdapterFile& file, int64_t unit);
int64_t largest_rank(const AdapterFile& file);

// The first `rank` ranks of every module; alphas and all other tensors as they are.
std::vector<NamedTensor> first_ranks(const AdapterFile& file, int64_t rank);

}  // namespace difftune
