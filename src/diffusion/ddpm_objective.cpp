#include "diffusion/ddpm_objective.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/mean.h>

#include <numeric>
#include <utility>

#include "base/error.h"
#include "base/log.h"

namespace difftune {

DdpmObjective::DdpmObjective(const DdpmObjectiveConfig& config, at::Device device)
    : config_(config), schedule_(config.schedule, device) {
  validate(config_.noise, schedule_.num_timesteps());
  validate(config_.loss, config_.prediction, schedule_);
  if (config_.schedule.zero_terminal_snr && config_.prediction == PredictionType::epsilon) {
    log::warning(
        "--zero_terminal_snr without --v_parameterization: at the last timestep the input is the noise itself, so "
        "nothing is learned there");
  }
}

NoisedBatch DdpmObjective::draw(const at::Tensor& latents, const RandomSources& random,
                                std::optional<int64_t> timestep) const {
  DT_CHECK(!timestep || (*timestep >= 0 && *timestep < schedule_.num_timesteps()), "timestep {}", *timestep);
  NoisyLatents drawn = draw_noisy_latents(config_.noise, schedule_, latents, random, timestep);
  at::Tensor target = config_.prediction == PredictionType::epsilon
                          ? drawn.noise
                          : schedule_.velocity(latents, drawn.noise, drawn.timesteps);
  return {std::move(drawn.noisy_latents), std::move(drawn.timesteps), std::move(drawn.noise), std::move(target)};
}

at::Tensor DdpmObjective::per_sample_loss(const at::Tensor& model_output, const NoisedBatch& batch,
                                          const LossWeights& weights) const {
  DT_CHECK(model_output.sizes() == batch.target.sizes(), "the model's output and its target differ in shape");
  at::Tensor thresholds;
  if (needs_huber_threshold(config_.loss.type)) {
    thresholds = huber_thresholds(config_.loss, batch.timesteps, schedule_.alphas_cumprod());
  }
  at::Tensor loss =
      elementwise_loss(config_.loss.type, model_output.to(at::kFloat), batch.target.to(at::kFloat), thresholds);
  if (weights.mask.defined()) loss = apply_mask(loss, weights.mask);
  std::vector<int64_t> inner(static_cast<size_t>(loss.dim() - 1));
  std::iota(inner.begin(), inner.end(), 1);
  loss = at::mean(loss, inner);
  if (weights.samples.defined()) loss = loss * weights.samples.to(loss.device());
  return weigh_by_snr(loss, config_.loss, config_.prediction, schedule_, batch.timesteps);
}

std::vector<int64_t> DdpmObjective::validation_timesteps(int64_t count) const {
  const double low = static_cast<double>(config_.noise.min_timestep);
  const double step = (static_cast<double>(config_.noise.max_timestep) - low) / static_cast<double>(count + 1);
  std::vector<int64_t> timesteps;
  for (int64_t i = 1; i <= count; ++i) timesteps.push_back(static_cast<int64_t>(static_cast<double>(i) * step + low));
  return timesteps;
}

}  // namespace difftune
