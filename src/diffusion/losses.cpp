#include "diffusion/losses.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/adaptive_avg_pool2d.h>
#include <ATen/ops/clamp_max.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/full.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/l1_loss.h>
#include <ATen/ops/mse_loss.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/reciprocal.h>
#include <ATen/ops/rsub.h>
#include <ATen/ops/sqrt.h>
#include <ATen/ops/where.h>

#include <cmath>

#include "base/error.h"
#include "base/log.h"

namespace difftune {
namespace {

// Beyond this ratio the first timesteps differ by less than their noise; the reference caps there too.
constexpr double max_snr = 1000;

at::Tensor snr_at(const DdpmSchedule& schedule, const at::Tensor& timesteps) {
  return at::index_select(schedule.snr(), 0, timesteps.to(schedule.snr().device()));
}

// min(snr, gamma) / snr for noise, / (snr + 1) for v. Without signal the first tends to 1, the second to 0.
at::Tensor min_snr_weight(const at::Tensor& snr, double gamma, PredictionType prediction) {
  const at::Tensor capped = at::clamp_max(snr, gamma);
  if (prediction == PredictionType::velocity) return capped / (snr + 1);
  return at::where(snr == 0, at::ones_like(snr), capped / snr);
}

// The ratio of a v loss to a noise loss: snr / (snr + 1).
at::Tensor v_to_noise_ratio(const at::Tensor& snr) {
  const at::Tensor capped = at::clamp_max(snr, max_snr);
  return capped / (capped + 1);
}

at::Tensor debiased_weight(const at::Tensor& snr, PredictionType prediction) {
  const at::Tensor capped = at::clamp_max(snr, max_snr);
  return at::reciprocal(prediction == PredictionType::velocity ? capped + 1 : at::sqrt(capped));
}

}  // namespace

LossType parse_loss_type(std::string_view name) {
  if (name == "l2") return LossType::l2;
  if (name == "l1") return LossType::l1;
  if (name == "huber") return LossType::huber;
  if (name == "smooth_l1") return LossType::smooth_l1;
  fail("--loss_type is '{}', expected one of l2, l1, huber, smooth_l1", name);
}

HuberSchedule parse_huber_schedule(std::string_view name) {
  if (name == "snr") return HuberSchedule::snr;
  if (name == "exponential") return HuberSchedule::exponential;
  if (name == "constant") return HuberSchedule::constant;
  fail("--huber_schedule is '{}', expected one of snr, exponential, constant", name);
}

void validate(const LossConfig& config, PredictionType prediction, const DdpmSchedule& schedule) {
  if (needs_huber_threshold(config.type)) {
    if (!(config.huber_c > 0)) fail("--huber_c is {}, expected a number above 0", config.huber_c);
    if (config.huber_schedule == HuberSchedule::snr && config.huber_scale != 1) {
      log::warning("--huber_scale has no effect with --huber_schedule snr; use exponential or constant with it");
    }
  }
  if (config.min_snr_gamma < 0) fail("--min_snr_gamma is {}, expected 0 (off) or more", config.min_snr_gamma);
  const bool velocity = prediction == PredictionType::velocity;
  if (config.scale_v_pred_loss_like_noise_pred && !velocity) {
    fail("--scale_v_pred_loss_like_noise_pred needs --v_parameterization");
  }
  if (config.v_pred_like_loss != 0 && velocity) {
    fail("--v_pred_like_loss does not go with --v_parameterization, whose loss is already that one");
  }
  const bool has_snr_zero = schedule.snr()[-1].item<float>() == 0;
  if (has_snr_zero && !velocity && (config.debiased_estimation_loss || config.v_pred_like_loss != 0)) {
    fail(
        "--zero_terminal_snr makes the last timestep pure noise, where {} divides by zero: train with "
        "--v_parameterization or leave one of the two out",
        config.debiased_estimation_loss ? "--debiased_estimation_loss" : "--v_pred_like_loss");
  }
}

bool needs_huber_threshold(LossType type) { return type == LossType::huber || type == LossType::smooth_l1; }

at::Tensor huber_thresholds(const LossConfig& config, const at::Tensor& timesteps, const at::Tensor& alphas_cumprod) {
  switch (config.huber_schedule) {
    case HuberSchedule::exponential: {
      const double decay = -std::log(config.huber_c) / static_cast<double>(alphas_cumprod.size(0));
      return at::exp(timesteps * -decay) * config.huber_scale;
    }
    case HuberSchedule::constant:
      return at::full({timesteps.size(0)}, config.huber_c * config.huber_scale,
                      at::TensorOptions(at::kFloat).device(timesteps.device()));
    case HuberSchedule::snr:
      break;
  }
  const at::Tensor alpha = at::index_select(alphas_cumprod, 0, timesteps.to(alphas_cumprod.device()));
  const at::Tensor sigma = at::pow(at::rsub(alpha, 1) / alpha, 0.5);
  // A number divided by a tensor is a product with its reciprocal in PyTorch; the last bit depends on it.
  const at::Tensor scaled = at::reciprocal(at::pow(sigma + 1, 2)) * (1 - config.huber_c);
  return (scaled + config.huber_c).to(timesteps.device());
}

at::Tensor elementwise_loss(LossType type, const at::Tensor& prediction, const at::Tensor& target,
                            const at::Tensor& thresholds) {
  if (type == LossType::l2) return at::mse_loss(prediction, target, at::Reduction::None);
  if (type == LossType::l1) return at::l1_loss(prediction, target, at::Reduction::None);
  DT_CHECK(thresholds.defined(), "a Huber loss needs thresholds");
  const at::Tensor c = per_sample(thresholds, prediction.dim());
  const at::Tensor excess = at::sqrt(at::pow(prediction - target, 2) + at::pow(c, 2)) - c;
  return type == LossType::huber ? (c * 2) * excess : excess * 2;
}

at::Tensor apply_mask(const at::Tensor& loss, const at::Tensor& mask) {
  DT_CHECK(mask.dim() == 3 && loss.dim() == 4 && mask.size(0) == loss.size(0), "mask of {} axes for a loss of {}",
           mask.dim(), loss.dim());
  const at::Tensor pixels = mask.to(loss.device(), loss.scalar_type()).unsqueeze(1);
  return loss * at::adaptive_avg_pool2d(pixels, {loss.size(2), loss.size(3)});
}

at::Tensor mask_from_conditioning(const at::Tensor& image) { return image.select(1, 0) / 2 + 0.5; }

at::Tensor weigh_by_snr(at::Tensor loss, const LossConfig& config, PredictionType prediction,
                        const DdpmSchedule& schedule, const at::Tensor& timesteps) {
  const bool any = config.min_snr_gamma != 0 || config.scale_v_pred_loss_like_noise_pred ||
                   config.v_pred_like_loss != 0 || config.debiased_estimation_loss;
  if (!any) return loss;
  const at::Tensor snr = snr_at(schedule, timesteps).to(loss.device());
  if (config.min_snr_gamma != 0) loss = loss * min_snr_weight(snr, config.min_snr_gamma, prediction);
  if (config.scale_v_pred_loss_like_noise_pred) loss = loss * v_to_noise_ratio(snr);
  if (config.v_pred_like_loss != 0) loss = loss + loss / v_to_noise_ratio(snr) * config.v_pred_like_loss;
  if (config.debiased_estimation_loss) loss = debiased_weight(snr, prediction) * loss;
  return loss;
}

}  // namespace difftune
