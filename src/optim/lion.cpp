#include "optim/lion.h"

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_sign.h>
#include <ATen/ops/zeros_like.h>

#include "optim/check_range.h"

namespace difftune {

Lion::Lion(std::vector<ParamGroup> groups, const LionConfig& config) : Optimizer(std::move(groups)), config_(config) {
  check_beta("betas[0]", config.beta1);
  check_beta("betas[1]", config.beta2);
  check_not_negative("weight_decay", config.weight_decay);
  if (!(config.learning_rate > 0)) fail("Lion needs a --learning_rate above 0, got {}", config.learning_rate);
  if (config.decoupled_weight_decay) config_.weight_decay /= config.learning_rate;
}

std::vector<at::Tensor> Lion::new_state(const at::Tensor& param) const { return {at::zeros_like(param)}; }

void Lion::step_chunk(const Chunk& chunk) {
  const std::vector<at::Tensor> average = chunk.tensors(0);
  if (config_.weight_decay != 0) at::_foreach_mul_(chunk.params, 1 - chunk.lr * config_.weight_decay);
  const std::vector<at::Tensor> update = at::_foreach_mul(average, config_.beta1);
  at::_foreach_add_(update, chunk.grads, 1 - config_.beta1);
  at::_foreach_sign_(update);
  at::_foreach_add_(chunk.params, update, -chunk.lr);
  at::_foreach_mul_(average, config_.beta2);
  at::_foreach_add_(average, chunk.grads, 1 - config_.beta2);
}

}  // namespace difftune
