// The objective of rectified flow models (arXiv:2403.03206): predict the velocity from data to noise.
#pragma once

#include "diffusion/flow_timesteps.h"
#include "diffusion/losses.h"
#include "diffusion/objective.h"

namespace difftune {

// The values of --model_prediction_type: what the model's output v is compared as.
enum class FlowPrediction {
  raw,          // v itself, with the velocity
  additive,     // v + x_sigma, with the velocity (as the reference has it; no sampler expects such a model)
  sigma_scaled  // x_sigma - sigma v, the data that it means, with the data; weighed by the weighting scheme
};
FlowPrediction parse_flow_prediction(std::string_view name);

// Which way the model's output points: from data to noise (FLUX, SD3), or from noise to data (Lumina).
enum class FlowDirection { to_noise, to_data };

struct FlowObjectiveConfig {
  FlowTimestepConfig timesteps = {};
  FlowPrediction prediction = FlowPrediction::raw;
  FlowDirection direction = FlowDirection::to_noise;
  double ip_noise_gamma = 0;
  bool ip_noise_gamma_random_strength = false;
  LossConfig loss = {};  // type and Huber's threshold
  // The dtype in which the model runs: the noisy latents get it, those of SD3 excepted.
  at::ScalarType dtype = at::kFloat;
  // Compare sigma_scaled with the velocity unless `scales_against_data`, leave its sign as for to_noise, round sigmas
  // and timesteps to `dtype`, and refuse Huber's schedule snr, as the reference does.
  bool reference_quirks = false;
  // The reference's SD3 compares sigma_scaled with the data, as it should be.
  bool scales_against_data = false;
};

class FlowObjective final : public Objective {
 public:
  // Throws UserError for settings that are out of range or contradict each other.
  explicit FlowObjective(const FlowObjectiveConfig& config);

  NoisedBatch draw(const at::Tensor& latents, const RandomSources& random,
                   std::optional<int64_t> timestep = std::nullopt) const override;
  // Elementwise loss in float32, weight of the sigma, mask, mean per sample, sample weights.
  at::Tensor per_sample_loss(const at::Tensor& model_output, const NoisedBatch& batch,
                             const LossWeights& weights = {}) const override;
  std::vector<int64_t> validation_timesteps(int64_t count = 4) const override;

 private:
  at::Tensor noisy(const at::Tensor& latents, const at::Tensor& noise, const at::Tensor& sigmas,
                   const RandomSources& random) const;
  at::Tensor prediction_of(const at::Tensor& model_output, const NoisedBatch& batch) const;

  FlowObjectiveConfig config_;
};

// [B] float32: the width of a Huber loss's quadratic part. The schedule snr narrows with the ratio r = sigma / (1 -
// sigma) of noise to signal as DDPM's does: (1 - huber_c) / (1 + r)^2 + huber_c = (1 - huber_c) (1 - sigma)^2 +
// huber_c.
at::Tensor flow_huber_thresholds(const LossConfig& config, const at::Tensor& sigmas);

}  // namespace difftune
