// Batches of tensors, made without LibTorch's threads: loader threads would each start a pool of their own.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace difftune {

// CPU tensors of one shape and dtype along a new first axis. At least one.
at::Tensor stack_tensors(const std::vector<at::Tensor>& tensors);

// The same for tensors whose first axis may differ: the shorter ones end in zeros.
at::Tensor stack_padded(const std::vector<at::Tensor>& tensors);

}  // namespace difftune
