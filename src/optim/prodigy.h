// Prodigy (arXiv 2306.06101): Adam that estimates its own step size, with the operations of prodigyopt 1.1.2.
#pragma once

#include <limits>
#include <optional>

#include "optim/optimizer.h"

namespace difftune {

struct ProdigyConfig {
  double beta1 = 0.9, beta2 = 0.999;
  std::optional<double> beta3 = std::nullopt;  // sqrt(beta2)
  double eps = 1e-8;
  double weight_decay = 0;
  bool decouple = true;
  bool use_bias_correction = false;
  bool safeguard_warmup = false;
  double d0 = 1e-6;
  double d_coef = 1;
  double growth_rate = std::numeric_limits<double>::infinity();
  // Estimate the step size from every slice_p-th value, for less memory.
  int64_t slice_p = 1;
};

class Prodigy final : public Optimizer {
 public:
  // Throws UserError where groups have different learning rates: there is one step size for all.
  Prodigy(std::vector<ParamGroup> groups, const ProdigyConfig& config);

  std::optional<double> estimated_step_size() const override { return d_; }

 protected:
  std::vector<std::string> state_names() const override { return {"exp_avg", "exp_avg_sq", "s", "p0"}; }
  std::vector<at::Tensor> new_state(const at::Tensor& param) const override;
  void begin_step() override;
  void step_chunk(const Chunk& chunk) override;
  void end_step() override;
  void save_extra(OptimizerState& state) const override;
  void load_extra(const OptimizerState& state, const std::string& source) override;

 private:
  at::Tensor sliced(const at::Tensor& x) const;
  void accumulate(const at::Tensor& param, const at::Tensor& grad, const ParamState& state);
  bool update_step_size();

  // What the second pass over the parameters needs from the first.
  struct Pending {
    at::Tensor param, grad;
    ParamState* state;
  };

  ProdigyConfig config_;
  double beta3_;
  double d_, d_max_, d_numerator_ = 0;
  int64_t k_ = 0;
  // Of the step at hand.
  double lr_ = 0, dlr_ = 0;
  std::vector<Pending> pending_;
  at::Tensor numerator_, denominator_;  // 0-d float64 on the parameters' device, undefined without a gradient
};

}  // namespace difftune
