#include "optim/adamw.h"

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_addcdiv.h>
#include <ATen/ops/_foreach_addcmul.h>
#include <ATen/ops/_foreach_div.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_maximum.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_neg.h>
#include <ATen/ops/_foreach_sqrt.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>

#include "optim/check_range.h"

namespace difftune {
namespace {
enum Slot : size_t { exp_avg, exp_avg_sq, max_exp_avg_sq };
}

AdamW::AdamW(std::vector<ParamGroup> groups, const AdamWConfig& config)
    : Optimizer(std::move(groups)), config_(config) {
  check_beta("betas[0]", config.beta1);
  check_beta("betas[1]", config.beta2);
  check_not_negative("eps", config.eps);
  check_not_negative("weight_decay", config.weight_decay);
}

std::vector<std::string> AdamW::state_names() const { return {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"}; }

std::vector<at::Tensor> AdamW::new_state(const at::Tensor& param) const {
  return {at::zeros_like(param), at::zeros_like(param), config_.amsgrad ? at::zeros_like(param) : at::Tensor()};
}

void AdamW::step_chunk(const Chunk& chunk) {
  const std::vector<at::Tensor> grads = config_.maximize ? at::_foreach_neg(chunk.grads) : chunk.grads;
  const std::vector<at::Tensor> m = chunk.tensors(exp_avg), v = chunk.tensors(exp_avg_sq);

  if (config_.weight_decay != 0) at::_foreach_mul_(chunk.params, 1 - chunk.lr * config_.weight_decay);
  at::_foreach_lerp_(m, grads, 1 - config_.beta1);
  at::_foreach_mul_(v, config_.beta2);
  at::_foreach_addcmul_(v, grads, grads, 1 - config_.beta2);

  // A parameter that had no gradient for a while has made fewer steps than its neighbours.
  std::vector<at::Scalar> step_sizes, root_corrections;
  for (const ParamState* state : chunk.states) {
    const auto t = static_cast<double>(state->num_steps);
    step_sizes.emplace_back(-(chunk.lr / (1 - std::pow(config_.beta1, t))));
    root_corrections.emplace_back(std::pow(1 - std::pow(config_.beta2, t), 0.5));
  }
  if (config_.amsgrad) at::_foreach_maximum_(chunk.tensors(max_exp_avg_sq), v);
  const std::vector<at::Tensor> denominator = at::_foreach_sqrt(config_.amsgrad ? chunk.tensors(max_exp_avg_sq) : v);
  at::_foreach_div_(denominator, root_corrections);
  at::_foreach_add_(denominator, config_.eps);
  at::_foreach_addcdiv_(chunk.params, m, denominator, step_sizes);
}

}  // namespace difftune
