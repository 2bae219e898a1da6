// Adafactor (arXiv 1804.04235): second moments as a row and a column, with the operations of
// transformers.optimization.Adafactor.
#pragma once

#include <optional>

#include "optim/optimizer.h"

namespace difftune {

struct AdafactorConfig {
  double eps_gradient = 1e-30, eps_parameter = 1e-3;
  double clip_threshold = 1.0;
  double decay_rate = -0.8;
  std::optional<double> beta1 = std::nullopt;
  double weight_decay = 0;
  // Scale the learning rate by each parameter's root mean square.
  bool scale_parameter = true;
  // Use min(1e-2, 1/sqrt(step)) for the learning rate, not the groups'.
  bool relative_step = true;
  // With relative_step: 1e-6 step in place of 1e-2.
  bool warmup_init = false;
};

class Adafactor final : public Optimizer {
 public:
  Adafactor(std::vector<ParamGroup> groups, const AdafactorConfig& config);

  bool sets_own_lr() const override { return config_.relative_step; }
  // That of the group's first parameter. Waits for the device.
  double effective_lr(size_t group) const override;

 protected:
  std::vector<std::string> state_names() const override;
  std::vector<at::Tensor> new_state(const at::Tensor& param) const override;
  void step_chunk(const Chunk& chunk) override;

 private:
  void step_param(const at::Tensor& param, const at::Tensor& grad, ParamState& state, double lr,
                  at::Tensor* used_lr) const;
  at::Tensor scaled_gradient(const at::Tensor& grad, const ParamState& state) const;
  double base_lr(double group_lr, int64_t step) const;

  AdafactorConfig config_;
  std::vector<at::Tensor> used_lr_;  // [group] 0-d
};

}  // namespace difftune
