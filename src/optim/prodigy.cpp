#include "optim/prodigy.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/dot.h>
#include <ATen/ops/flatten.h>
#include <ATen/ops/sqrt.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>

#include "base/log.h"
#include "optim/check_range.h"

namespace difftune {
namespace {
enum Slot : size_t { exp_avg, exp_avg_sq, slope_sum, start };

void check_positive(std::string_view name, double value) {
  if (!(value > 0)) fail("optimizer_args: {} is {}, expected above 0", name, value);
}
}  // namespace

Prodigy::Prodigy(std::vector<ParamGroup> groups, const ProdigyConfig& config)
    : Optimizer(std::move(groups)),
      config_(config),
      beta3_(config.beta3.value_or(std::sqrt(config.beta2))),
      d_(config.d0),
      d_max_(config.d0) {
  check_beta("betas[0]", config.beta1);
  check_beta("betas[1]", config.beta2);
  check_positive("eps", config.eps);
  check_positive("d0", config.d0);
  if (config.slice_p < 1) fail("optimizer_args: slice_p is {}, expected 1 or more", config.slice_p);
  double lr = 0;
  for (const ParamGroup& group : this->groups()) lr = std::max(lr, group.lr);
  for (const ParamGroup& group : this->groups()) {
    if (group.lr != lr && group.lr != 0) {
      fail("Prodigy has one step size for all parameters, but '{}' has the learning rate {} and another group {}",
           group.name, group.lr, lr);
    }
  }
  if (lr <= 0.1) log::warning("Prodigy multiplies its own step size by the learning rate {}; 1.0 is usual", lr);
}

at::Tensor Prodigy::sliced(const at::Tensor& x) const {
  const at::Tensor flat = at::flatten(x);
  return config_.slice_p == 1 ? flat : flat.slice(0, 0, flat.size(0), config_.slice_p);
}

std::vector<at::Tensor> Prodigy::new_state(const at::Tensor& param) const {
  const at::Tensor flat = sliced(param.detach());
  return {config_.beta1 > 0 ? at::zeros_like(param) : at::Tensor(), at::zeros_like(param), at::zeros_like(flat),
          flat.clone()};
}

void Prodigy::begin_step() {
  lr_ = 0;
  for (const ParamGroup& group : groups()) lr_ = std::max(lr_, group.lr);
  dlr_ = d_ * lr_;
  if (config_.use_bias_correction) {
    const auto t = static_cast<double>(k_ + 1);
    dlr_ *= std::pow(1 - std::pow(config_.beta2, t), 0.5) / (1 - std::pow(config_.beta1, t));
  }
  pending_.clear();
  numerator_.reset();
  denominator_.reset();
}

void Prodigy::step_chunk(const Chunk& chunk) {
  for (size_t i = 0; i < chunk.params.size(); ++i) {
    at::Tensor grad = chunk.grads[i];
    if (config_.weight_decay != 0 && !config_.decouple) grad = grad.add(chunk.params[i], config_.weight_decay);
    pending_.push_back({chunk.params[i], grad, chunk.states[i]});
    if (chunk.lr > 0) accumulate(chunk.params[i], grad, *chunk.states[i]);
  }
}

void Prodigy::accumulate(const at::Tensor& param, const at::Tensor& grad, const ParamState& state) {
  const at::Tensor flat_grad = sliced(grad);
  // d / d0 keeps the sums away from the smallest floats.
  const double scale = d_ / config_.d0;
  const at::Tensor progress = at::dot(flat_grad, state.tensors[start] - sliced(param)).to(at::kDouble);
  if (config_.beta1 > 0) state.tensors[exp_avg].mul_(config_.beta1).add_(grad, d_ * (1 - config_.beta1));
  state.tensors[exp_avg_sq].mul_(config_.beta2).addcmul_(grad, grad, d_ * d_ * (1 - config_.beta2));
  state.tensors[slope_sum].mul_(beta3_).add_(flat_grad, scale * (config_.safeguard_warmup ? d_ : dlr_));
  const at::Tensor size = at::sum(at::abs(state.tensors[slope_sum])).to(at::kDouble);
  if (!numerator_.defined()) {
    numerator_ = at::zeros({}, progress.options());
    denominator_ = at::zeros({}, size.options());
  }
  numerator_ += progress * (scale * dlr_);
  denominator_ += size;
}

// False where the gradients were all zero: nothing is learned from such a step.
bool Prodigy::update_step_size() {
  const double denominator = denominator_.defined() ? denominator_.item<double>() : 0;
  if (denominator == 0) return false;
  d_numerator_ = d_numerator_ * beta3_ + numerator_.item<double>();
  const double estimate = config_.d_coef * d_numerator_ / denominator;
  if (d_ == config_.d0) d_ = std::max(d_, estimate);
  d_max_ = std::max(d_max_, estimate);
  d_ = std::min(d_max_, d_ * config_.growth_rate);
  return true;
}

void Prodigy::end_step() {
  if (update_step_size()) {
    for (const Pending& pending : pending_) {
      const at::Tensor denominator = at::sqrt(pending.state->tensors[exp_avg_sq]).add_(d_ * config_.eps);
      if (config_.weight_decay != 0 && config_.decouple) {
        pending.param.add_(pending.param, -config_.weight_decay * dlr_);
      }
      if (config_.beta1 > 0) {
        pending.param.addcdiv_(pending.state->tensors[exp_avg], denominator, -dlr_);
      } else {
        pending.param.addcdiv_(pending.grad, denominator, -dlr_ * d_);
      }
    }
    ++k_;
  }
  pending_.clear();
}

void Prodigy::save_extra(OptimizerState& state) const {
  state["prodigy.d"] = number_tensor(d_);
  state["prodigy.d_max"] = number_tensor(d_max_);
  state["prodigy.d_numerator"] = number_tensor(d_numerator_);
  state["prodigy.k"] = number_tensor(k_);
}

void Prodigy::load_extra(const OptimizerState& state, const std::string& source) {
  const auto number = [&](const char* name) {
    const auto found = state.find(name);
    if (found == state.end() || found->second.numel() != 1) fail("{}: optimizer state '{}' is missing", source, name);
    return found->second;
  };
  d_ = number("prodigy.d").item<double>();
  d_max_ = number("prodigy.d_max").item<double>();
  d_numerator_ = number("prodigy.d_numerator").item<double>();
  k_ = number("prodigy.k").item<int64_t>();
}

}  // namespace difftune
