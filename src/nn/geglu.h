// GEGLU (arXiv:2002.05202) as one autograd node that keeps its input only.
#pragma once

#include <ATen/core/Tensor.h>

namespace difftune::nn {

// value × gelu(gate) for input [..., 2 n] that holds value and gate side by side → [..., n].
at::Tensor geglu(const at::Tensor& value_and_gate);

}  // namespace difftune::nn
