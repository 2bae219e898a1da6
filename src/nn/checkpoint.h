// Gradient checkpointing (arXiv:1604.06174): a part of the model that keeps its inputs only and is computed again when
// the gradient arrives.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace difftune::nn {

using Segment = std::function<at::Tensor(const std::vector<at::Tensor>&)>;
// A segment with several results, all of which have a gradient or none.
using ForkedSegment = std::function<std::vector<at::Tensor>(const std::vector<at::Tensor>&)>;

// segment(inputs), to the bit, with the random draws of the first computation repeated in the second. Undefined inputs
// are passed on. Where no gradient is recorded it is a plain call. With `keeps_inputs_on_cpu` inputs wait in main
// memory.
at::Tensor checkpoint(const Segment& segment, const std::vector<at::Tensor>& inputs, bool keeps_inputs_on_cpu = false);
std::vector<at::Tensor> checkpoint_forked(const ForkedSegment& segment, const std::vector<at::Tensor>& inputs,
                                          bool keeps_inputs_on_cpu = false);

}  // namespace difftune::nn
