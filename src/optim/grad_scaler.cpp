#include "optim/grad_scaler.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_amp_foreach_non_finite_check_and_unscale.h>
#include <ATen/ops/_amp_update_scale.h>
#include <ATen/ops/full.h>
#include <ATen/ops/reciprocal.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include "base/error.h"

namespace difftune {

GradScaler::GradScaler(at::Device device, const GradScalerConfig& config)
    : config_(config),
      scale_(at::full({}, config.initial_scale, at::TensorOptions(at::kFloat).device(device))),
      growth_tracker_(at::zeros({}, at::TensorOptions(at::kInt).device(device))),
      found_inf_(at::zeros({}, at::TensorOptions(at::kFloat).device(device))) {}

at::Tensor GradScaler::scale(const at::Tensor& loss) const { return loss * scale_; }

bool GradScaler::unscale(const std::vector<at::Tensor>& params) {
  const c10::AutoGradMode no_grad(false);
  std::vector<at::Tensor> grads;
  for (const at::Tensor& param : params) {
    if (param.grad().defined()) grads.push_back(param.grad());
  }
  found_inf_.zero_();
  const at::Tensor inverse = at::reciprocal(scale_.to(at::kDouble)).to(at::kFloat);
  if (!grads.empty()) at::_amp_foreach_non_finite_check_and_unscale_(grads, found_inf_, inverse);
  return found_inf_.item<float>() == 0;
}

void GradScaler::update() {
  const c10::AutoGradMode no_grad(false);
  at::_amp_update_scale_(scale_, growth_tracker_, found_inf_, config_.growth_factor, config_.backoff_factor,
                         config_.growth_interval);
}

double GradScaler::current_scale() const { return scale_.item<float>(); }

OptimizerState GradScaler::state() const {
  return {{"scale", number_tensor(current_scale())},
          {"growth_tracker", number_tensor(int64_t{growth_tracker_.item<int>()})}};
}

void GradScaler::load_state(const OptimizerState& state, const std::string& source) {
  for (const auto& [name, target] : {std::pair{"scale", &scale_}, std::pair{"growth_tracker", &growth_tracker_}}) {
    const auto found = state.find(name);
    if (found == state.end() || found->second.numel() != 1)
      fail("{}: '{}' of the loss scaler is missing", source, name);
    target->copy_(found->second.reshape({}));
  }
}

}  // namespace difftune
