// Elementwise losses, masks and the weights of a loss by its timestep's signal-to-noise ratio.
#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>

#include "diffusion/ddpm_schedule.h"

namespace difftune {

enum class LossType { l2, l1, huber, smooth_l1 };
enum class HuberSchedule { snr, exponential, constant };

// The values of --loss_type and --huber_schedule. UserError names the possible ones.
LossType parse_loss_type(std::string_view name);
HuberSchedule parse_huber_schedule(std::string_view name);

// Zero switches a weight off. Names and meaning are those of the command line options.
struct LossConfig {
  LossType type = LossType::l2;
  HuberSchedule huber_schedule = HuberSchedule::snr;
  double huber_c = 0.1;
  double huber_scale = 1.0;  // not used by the schedule snr
  double min_snr_gamma = 0;  // arXiv 2303.09556
  bool scale_v_pred_loss_like_noise_pred = false;
  double v_pred_like_loss = 0;
  bool debiased_estimation_loss = false;  // arXiv 2310.08442
};

// Throws UserError where a value is out of range, does not go with the prediction type, or would weigh a timestep
// without signal (snr 0) infinitely.
void validate(const LossConfig& config, PredictionType prediction, const DdpmSchedule& schedule);

bool needs_huber_threshold(LossType type);

// [B] float32: the width of the quadratic part at each sample's timestep. num_timesteps is that of training; the
// schedule snr takes `alphas_cumprod` ([num_timesteps] float32), the others leave it alone.
at::Tensor huber_thresholds(const LossConfig& config, const at::Tensor& timesteps, const at::Tensor& alphas_cumprod);

// Unreduced, the shape of `prediction`. `thresholds` ([B]) is needed by huber (2c(sqrt(d^2 + c^2) - c)) and smooth_l1
// (2(sqrt(d^2 + c^2) - c)) alone.
at::Tensor elementwise_loss(LossType type, const at::Tensor& prediction, const at::Tensor& target,
                            const at::Tensor& thresholds = {});

// Multiplies a loss of [B, C, h, w] by `mask` ([B, H, W], 0 to 1), shrunk to h x w by area. Nothing is renormalised.
at::Tensor apply_mask(const at::Tensor& loss, const at::Tensor& mask);

// [B, H, W] from a conditioning image of [B, 3, H, W] in -1 to 1: its red channel, in 0 to 1.
at::Tensor mask_from_conditioning(const at::Tensor& image);

// The loss per sample ([B]) after min-SNR, v-like-noise scaling, added v-like loss and debiasing, in this order.
at::Tensor weigh_by_snr(at::Tensor loss, const LossConfig& config, PredictionType prediction,
                        const DdpmSchedule& schedule, const at::Tensor& timesteps);

}  // namespace difftune
