// From prediction and target to one number.
#pragma once

#include <optional>
#include <string>

#include "options/number.h"

namespace difftune {

class OptionTable;

struct LossOptions {
  std::string loss_type = "l2";
  std::string huber_schedule = "snr";
  Number huber_c = 0.1;
  Number huber_scale = 1.0;
  std::optional<Number> min_snr_gamma;
  bool scale_v_pred_loss_like_noise_pred = false;
  std::optional<Number> v_pred_like_loss;
  bool debiased_estimation_loss = false;
};

void describe(LossOptions& options, OptionTable& table);

}  // namespace difftune
