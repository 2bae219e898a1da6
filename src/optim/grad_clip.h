// Gradient clipping by the norm over all parameters.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace difftune {

// The norm over the gradients of `params`: the 2-norm of their 2-norms, 0-d. Parameters without gradient count as 0.
at::Tensor grad_norm(const std::vector<at::Tensor>& params);

// Multiplies the gradients in place with min(1, max_norm / (norm + 1e-6)) and returns the norm before, 0-d, with the
// operations of torch.nn.utils.clip_grad_norm_. Does not wait for the device.
at::Tensor clip_grad_norm(const std::vector<at::Tensor>& params, double max_norm);

}  // namespace difftune
