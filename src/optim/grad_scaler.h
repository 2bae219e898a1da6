// Loss scaling for float16 training, with the rules of torch.amp.GradScaler.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "optim/optimizer.h"

namespace difftune {

struct GradScalerConfig {
  double initial_scale = 65536;
  double growth_factor = 2;
  double backoff_factor = 0.5;
  int64_t growth_interval = 2000;  // steps without overflow before the scale grows
};

// For each optimizer step: scale(loss).backward(); if (unscale(params)) { clip; optimizer.step(); } update();
class GradScaler {
 public:
  explicit GradScaler(at::Device device, const GradScalerConfig& config = {});

  at::Tensor scale(const at::Tensor& loss) const;
  // Divides the gradients by the scale. False where one is not finite: leave the step out. Waits for the device.
  bool unscale(const std::vector<at::Tensor>& params);
  // Adapts the scale to what unscale() found.
  void update();
  double current_scale() const;

  OptimizerState state() const;
  // Throws UserError that names `source` where a value is missing.
  void load_state(const OptimizerState& state, const std::string& source);

 private:
  GradScalerConfig config_;
  at::Tensor scale_, growth_tracker_, found_inf_;
};

}  // namespace difftune
