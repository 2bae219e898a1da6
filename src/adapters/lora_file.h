// The factors of one module in a LoRA file, checked against the layer that they change.
#pragma once

#include <ATen/core/Tensor.h>

#include <utility>

#include "adapters/adapter.h"

namespace difftune {

struct LoraFactors {
  at::Tensor down, up;  // float32, in the file's shapes: [rank, in] and [out, rank], or those of convolutions
  double scale = 1;     // alpha / rank
};

// `rank_and_alpha` is the module's of lora_dims(). Throws UserError where the shapes do not fit the target's layer.
LoraFactors read_lora_factors(const TensorSource& file, const AdapterTarget& target,
                              std::pair<int64_t, double> rank_and_alpha);

}  // namespace difftune
