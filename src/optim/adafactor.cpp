#include "optim/adafactor.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/neg.h>
#include <ATen/ops/norm.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "optim/check_range.h"

namespace difftune {
namespace {

enum Slot : size_t { exp_avg, exp_avg_sq_row, exp_avg_sq_col, exp_avg_sq };

at::Tensor root_mean_square(const at::Tensor& x) {
  return at::norm(x, 2) / std::pow(static_cast<double>(x.numel()), 0.5);
}

}  // namespace

Adafactor::Adafactor(std::vector<ParamGroup> groups, const AdafactorConfig& config)
    : Optimizer(std::move(groups)), config_(config), used_lr_(this->groups().size()) {
  check_not_negative("eps[0]", config.eps_gradient);
  check_not_negative("eps[1]", config.eps_parameter);
  check_not_negative("weight_decay", config.weight_decay);
  if (config.beta1) check_beta("beta1", *config.beta1);
  if (!(config.clip_threshold > 0))
    fail("optimizer_args: clip_threshold is {}, expected above 0", config.clip_threshold);
  if (config.warmup_init && !config.relative_step) fail("optimizer_args: warmup_init=True needs relative_step=True");
}

double Adafactor::effective_lr(size_t group) const {
  return config_.relative_step && used_lr_[group].defined() ? used_lr_[group].item<double>() : groups()[group].lr;
}

std::vector<std::string> Adafactor::state_names() const {
  return {"exp_avg", "exp_avg_sq_row", "exp_avg_sq_col", "exp_avg_sq"};
}

std::vector<at::Tensor> Adafactor::new_state(const at::Tensor& param) const {
  const at::TensorOptions options = at::TensorOptions(at::kFloat).device(param.device());
  std::vector<at::Tensor> state(4);
  if (config_.beta1) state[exp_avg] = at::zeros(param.sizes(), options);
  if (param.dim() < 2) {
    state[exp_avg_sq] = at::zeros(param.sizes(), options);
    return state;
  }
  std::vector<int64_t> row(param.sizes().begin(), param.sizes().end() - 1);
  std::vector<int64_t> column = row;
  column.back() = param.size(-1);
  state[exp_avg_sq_row] = at::zeros(row, options);
  state[exp_avg_sq_col] = at::zeros(column, options);
  return state;
}

void Adafactor::step_chunk(const Chunk& chunk) {
  const at::Tensor& first = groups()[chunk.group].params.front();
  for (size_t i = 0; i < chunk.params.size(); ++i) {
    at::Tensor* used_lr = config_.relative_step && chunk.params[i].is_same(first) ? &used_lr_[chunk.group] : nullptr;
    step_param(chunk.params[i], chunk.grads[i], *chunk.states[i], chunk.lr, used_lr);
  }
}

double Adafactor::base_lr(double group_lr, int64_t step) const {
  if (!config_.relative_step) return group_lr;
  const auto t = static_cast<double>(step);
  return std::min(config_.warmup_init ? 1e-6 * t : 1e-2, 1.0 / std::sqrt(t));
}

// The gradient over the root of its second moment.
at::Tensor Adafactor::scaled_gradient(const at::Tensor& grad, const ParamState& state) const {
  const double beta2 = 1.0 - std::pow(static_cast<double>(state.num_steps), config_.decay_rate);
  const at::Tensor square = at::pow(grad, 2) + config_.eps_gradient;
  if (grad.dim() < 2) {
    const at::Tensor& moment = state.tensors[exp_avg_sq];
    moment.mul_(beta2).add_(square, 1.0 - beta2);
    return at::rsqrt(moment).mul_(grad);
  }
  const at::Tensor& row = state.tensors[exp_avg_sq_row];
  const at::Tensor& column = state.tensors[exp_avg_sq_col];
  row.mul_(beta2).add_(at::mean(square, -1), 1.0 - beta2);
  column.mul_(beta2).add_(at::mean(square, -2), 1.0 - beta2);
  const at::Tensor row_factor = (row / at::mean(row, -1, /*keepdim=*/true)).rsqrt_().unsqueeze(-1);
  return at::mul(row_factor, at::rsqrt(column.unsqueeze(-2))).mul_(grad);
}

void Adafactor::step_param(const at::Tensor& param, const at::Tensor& gradient, ParamState& state, double group_lr,
                           at::Tensor* used_lr) const {
  const at::Tensor grad = gradient.to(at::kFloat), value = param.to(at::kFloat);  // no copies where it is float32
  const double lr = base_lr(group_lr, state.num_steps);
  // max(eps, rms) * lr without waiting for the device; each branch rounds as the reference's Python does.
  const auto scaled = [&](double factor) {
    if (!config_.scale_parameter) return at::full({}, lr * factor, value.options());
    const at::Tensor rms = root_mean_square(value);
    return at::where(rms > config_.eps_parameter, rms * lr * factor, config_.eps_parameter * lr * factor);
  };
  const at::Tensor step_size = scaled(1);

  at::Tensor update = scaled_gradient(grad, state);
  update.div_((root_mean_square(update) / config_.clip_threshold).clamp_(1.0));
  update.mul_(step_size);
  if (config_.beta1) {
    const at::Tensor& average = state.tensors[exp_avg];
    average.mul_(*config_.beta1).add_(update, 1 - *config_.beta1);
    update = average;
  }
  if (config_.weight_decay != 0) value.add_(value, scaled(-config_.weight_decay).item());
  value.add_(at::neg(update));
  if (!value.is_same(param)) param.copy_(value);
  if (used_lr) *used_lr = step_size;
}

}  // namespace difftune
