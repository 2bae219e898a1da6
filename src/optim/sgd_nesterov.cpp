#include "optim/sgd_nesterov.h"

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_neg.h>
#include <ATen/ops/zeros_like.h>

#include "optim/check_range.h"

namespace difftune {

SgdNesterov::SgdNesterov(std::vector<ParamGroup> groups, const SgdNesterovConfig& config)
    : Optimizer(std::move(groups)), config_(config) {
  if (!(config.momentum > 0)) fail("optimizer_args: momentum is {}, Nesterov needs one above 0", config.momentum);
  check_not_negative("weight_decay", config.weight_decay);
}

std::vector<at::Tensor> SgdNesterov::new_state(const at::Tensor& param) const { return {at::zeros_like(param)}; }

void SgdNesterov::step_chunk(const Chunk& chunk) {
  std::vector<at::Tensor> grads = config_.maximize ? at::_foreach_neg(chunk.grads) : chunk.grads;
  if (config_.weight_decay != 0) grads = at::_foreach_add(grads, chunk.params, config_.weight_decay);
  // torch starts the buffer as a copy of the first gradient; from zeros that is the same sum.
  const std::vector<at::Tensor> buffers = chunk.tensors(0);
  at::_foreach_mul_(buffers, config_.momentum);
  at::_foreach_add_(buffers, grads);
  at::_foreach_add_(chunk.params, at::_foreach_add(grads, buffers, config_.momentum), -chunk.lr);
}

}  // namespace difftune
