#include "diffusion/flow_objective.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/full.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/neg.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/rsub.h>

#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/log.h"

namespace difftune {

FlowPrediction parse_flow_prediction(std::string_view name) {
  if (name == "raw") return FlowPrediction::raw;
  if (name == "additive") return FlowPrediction::additive;
  if (name == "sigma_scaled") return FlowPrediction::sigma_scaled;
  fail("--model_prediction_type is '{}', expected one of raw, additive, sigma_scaled", name);
}

FlowObjective::FlowObjective(const FlowObjectiveConfig& config) : config_(config) {
  validate(config_.timesteps);
  const LossConfig& loss = config_.loss;
  if (needs_huber_threshold(loss.type)) {
    if (!(loss.huber_c > 0)) fail("--huber_c is {}, expected a number above 0", loss.huber_c);
    if (loss.huber_schedule == HuberSchedule::snr && config_.reference_quirks) {
      fail(
          "--huber_schedule snr: the reference has none for flow models; use exponential or constant, or leave out "
          "--reference_quirks");
    }
  }
  if (config_.prediction == FlowPrediction::additive) {
    log::warning("--model_prediction_type additive trains an output that samplers do not expect; raw is the usual one");
  }
}

at::Tensor FlowObjective::noisy(const at::Tensor& latents, const at::Tensor& noise, const at::Tensor& sigmas,
                                const RandomSources& random) const {
  at::Tensor added = noise;
  if (config_.ip_noise_gamma != 0) {
    const at::Tensor extra = draw_normal_like(latents.to(config_.dtype), random.device);
    if (config_.ip_noise_gamma_random_strength) {
      const auto options = at::TensorOptions(config_.dtype).device(latents.device());
      added = noise + (at::rand({1}, random.device, options) * config_.ip_noise_gamma) * extra;
    } else {
      added = noise + extra * config_.ip_noise_gamma;
    }
  }
  const at::Tensor share = per_sample(sigmas, latents.dim());
  return at::rsub(share, 1) * latents + share * added;
}

NoisedBatch FlowObjective::draw(const at::Tensor& latents, const RandomSources& random,
                                std::optional<int64_t> timestep) const {
  NoisedBatch batch;
  batch.noise = draw_normal_like(latents, random.device);
  auto [sigmas, timesteps] = draw_flow_timesteps(config_.timesteps, latents, random, timestep);
  if (config_.reference_quirks) {
    timesteps = timesteps.to(config_.dtype);
    const auto sampling = config_.timesteps.sampling;
    if (sampling == TimestepSampling::sigma) sigmas = sigmas.to(config_.dtype);
    if (sampling == TimestepSampling::sd3) sigmas = timesteps / static_cast<double>(kNumFlowTimesteps);
  }
  batch.noisy_latents = noisy(latents, batch.noise, sigmas, random);
  if (config_.timesteps.sampling != TimestepSampling::sd3) {
    batch.noisy_latents = batch.noisy_latents.to(config_.dtype);
  }
  batch.timesteps = std::move(timesteps);
  batch.sigmas = std::move(sigmas);
  const bool against_data =
      config_.prediction == FlowPrediction::sigma_scaled && (config_.scales_against_data || !config_.reference_quirks);
  if (against_data) {
    batch.target = latents;
  } else {
    batch.target = config_.direction == FlowDirection::to_noise ? batch.noise - latents : latents - batch.noise;
  }
  return batch;
}

at::Tensor FlowObjective::prediction_of(const at::Tensor& model_output, const NoisedBatch& batch) const {
  if (config_.prediction == FlowPrediction::raw) return model_output;
  if (config_.prediction == FlowPrediction::additive) return model_output + batch.noisy_latents;
  const at::Tensor share = per_sample(batch.sigmas, model_output.dim());
  const bool is_reversed = config_.direction == FlowDirection::to_data && !config_.reference_quirks;
  return model_output * (is_reversed ? share : at::neg(share)) + batch.noisy_latents;
}

at::Tensor FlowObjective::per_sample_loss(const at::Tensor& model_output, const NoisedBatch& batch,
                                          const LossWeights& weights) const {
  DT_CHECK(model_output.sizes() == batch.target.sizes(), "the model's output and its target differ in shape");
  at::Tensor thresholds;
  if (needs_huber_threshold(config_.loss.type)) thresholds = flow_huber_thresholds(config_.loss, batch.sigmas);
  at::Tensor loss = elementwise_loss(config_.loss.type, prediction_of(model_output, batch).to(at::kFloat),
                                     batch.target.to(at::kFloat), thresholds);
  if (config_.prediction == FlowPrediction::sigma_scaled) {
    const at::Tensor by_sigma = flow_loss_weights(config_.timesteps.weighting, batch.sigmas);
    if (by_sigma.defined()) loss = loss * per_sample(by_sigma.to(at::kFloat), loss.dim());
  }
  if (weights.mask.defined()) loss = apply_mask(loss, weights.mask);
  std::vector<int64_t> inner(static_cast<size_t>(loss.dim() - 1));
  std::iota(inner.begin(), inner.end(), 1);
  loss = at::mean(loss, inner);
  return weights.samples.defined() ? loss * weights.samples.to(loss.device()) : loss;
}

std::vector<int64_t> FlowObjective::validation_timesteps(int64_t count) const {
  const auto low = static_cast<double>(config_.timesteps.min_timestep);
  const auto high = static_cast<double>(config_.timesteps.max_timestep);
  std::vector<int64_t> timesteps;
  for (int64_t i = 1; i <= count; ++i) {
    timesteps.push_back(
        static_cast<int64_t>(static_cast<double>(i) * (high - low) / static_cast<double>(count + 1) + low));
  }
  return timesteps;
}

at::Tensor flow_huber_thresholds(const LossConfig& config, const at::Tensor& sigmas) {
  const at::Tensor share = sigmas.to(at::kFloat);
  switch (config.huber_schedule) {
    case HuberSchedule::exponential:
      return at::exp(share * std::log(config.huber_c)) * config.huber_scale;
    case HuberSchedule::constant:
      return at::full(share.sizes(), config.huber_c * config.huber_scale, share.options());
    case HuberSchedule::snr:
      break;
  }
  return at::pow(at::rsub(share, 1), 2) * (1 - config.huber_c) + config.huber_c;
}

}  // namespace difftune
