// The objective of SD 1.x, 2.x and SDXL: predict the noise, or v, of a DDPM forward process.
#pragma once

#include "diffusion/ddpm_schedule.h"
#include "diffusion/losses.h"
#include "diffusion/noise.h"
#include "diffusion/objective.h"

namespace difftune {

struct DdpmObjectiveConfig {
  PredictionType prediction = PredictionType::epsilon;
  DdpmScheduleConfig schedule = {};
  NoiseConfig noise = {};
  LossConfig loss = {};
};

class DdpmObjective final : public Objective {
 public:
  // Throws UserError for settings that contradict each other. The tables live on `device`.
  explicit DdpmObjective(const DdpmObjectiveConfig& config, at::Device device = at::kCPU);

  NoisedBatch draw(const at::Tensor& latents, const RandomSources& random,
                   std::optional<int64_t> timestep = std::nullopt) const override;
  // Elementwise loss in float32, mask, mean per sample, sample weights, weights by signal-to-noise ratio.
  at::Tensor per_sample_loss(const at::Tensor& model_output, const NoisedBatch& batch,
                             const LossWeights& weights = {}) const override;
  std::vector<int64_t> validation_timesteps(int64_t count = 4) const override;

  const DdpmSchedule& schedule() const { return schedule_; }
  PredictionType prediction() const { return config_.prediction; }

 private:
  DdpmObjectiveConfig config_;
  DdpmSchedule schedule_;
};

}  // namespace difftune
