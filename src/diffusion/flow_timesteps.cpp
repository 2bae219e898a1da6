#include "diffusion/flow_timesteps.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/floor.h>
#include <ATen/ops/full.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/reciprocal.h>
#include <ATen/ops/rsub.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>
#include <numbers>

#include "base/error.h"

namespace difftune {
namespace {

constexpr double kNumTimesteps = static_cast<double>(kNumFlowTimesteps);

// e^mu / (e^mu + 1 / s - 1).
at::Tensor shift_by_mu(const at::Tensor& sigmas, double mu) {
  const double e = std::exp(mu);
  return at::reciprocal(at::reciprocal(sigmas) - 1 + e) * e;
}

// Numbers in [0, 1] with the density of the weighting scheme (arXiv:2403.03206, section 3.1).
at::Tensor draw_density(const FlowTimestepConfig& config, int64_t batch, const at::Generator& generator) {
  const auto options = at::TensorOptions(at::kFloat);
  if (config.weighting == WeightingScheme::logit_normal) {
    return at::sigmoid(at::empty({batch}, options).normal_(config.logit_mean, config.logit_std, generator));
  }
  const at::Tensor u = at::rand({batch}, generator, options);
  if (config.weighting != WeightingScheme::mode) return u;
  const at::Tensor bump = at::pow(at::cos(u * std::numbers::pi / 2), 2) - 1 + u;
  return at::rsub(u, 1) - bump * config.mode_scale;
}

int64_t num_tokens(const at::Tensor& latents) { return (latents.size(2) / 2) * (latents.size(3) / 2); }

// Sigmas of the discrete schedule, from noise to data.
at::Tensor descending_sigmas(double shift) {
  const at::Tensor steps = at::arange(kNumFlowTimesteps, 0, -1, at::TensorOptions(at::kFloat));
  return shift_sigmas(steps / kNumTimesteps, shift);
}

at::Tensor draw_sigmas(const FlowTimestepConfig& config, const at::Tensor& latents, const RandomSources& random) {
  const int64_t batch = latents.size(0);
  const auto options = at::TensorOptions(at::kFloat).device(latents.device());
  const auto sigmoid_of_normal = [&] {
    return at::sigmoid(at::randn({batch}, random.device, options) * config.sigmoid_scale);
  };
  const auto at_least_smallest = [&](const at::Tensor& sigmas) {
    return config.smallest_sigma > 0 ? at::clamp(sigmas, config.smallest_sigma) : sigmas;
  };
  switch (config.sampling) {
    case TimestepSampling::uniform:
      return at::rand({batch}, random.device, options);
    case TimestepSampling::sigmoid:
      return sigmoid_of_normal();
    case TimestepSampling::shift:
      return shift_sigmas(sigmoid_of_normal(), config.discrete_flow_shift);
    case TimestepSampling::flux_shift:
      return shift_by_mu(at_least_smallest(sigmoid_of_normal()), flux_mu(num_tokens(latents)));
    case TimestepSampling::nextdit_shift:
      return shift_by_mu(at_least_smallest(at::rand({batch}, random.device, options)), flux_mu(num_tokens(latents)));
    case TimestepSampling::sigma: {
      const at::Tensor u = draw_density(config, batch, random.cpu);
      // The mode density reaches 1, which is one beyond the table.
      const at::Tensor index = at::clamp((u * kNumTimesteps).to(at::kLong), 0, kNumFlowTimesteps - 1);
      return at::index_select(descending_sigmas(config.discrete_flow_shift), 0, index).to(latents.device());
    }
    case TimestepSampling::sd3: {
      const at::Tensor u = shift_sigmas(draw_density(config, batch, random.cpu), config.training_shift);
      const auto low = static_cast<double>(config.min_timestep), high = static_cast<double>(config.max_timestep);
      const at::Tensor timesteps = (u * (high - low) + low).to(at::kLong).to(at::kFloat);
      return (timesteps / kNumTimesteps).to(latents.device());
    }
  }
  return {};
}

}  // namespace

TimestepSampling parse_timestep_sampling(std::string_view name) {
  if (name == "sigma") return TimestepSampling::sigma;
  if (name == "uniform") return TimestepSampling::uniform;
  if (name == "sigmoid") return TimestepSampling::sigmoid;
  if (name == "shift") return TimestepSampling::shift;
  if (name == "flux_shift") return TimestepSampling::flux_shift;
  if (name == "nextdit_shift") return TimestepSampling::nextdit_shift;
  fail("--timestep_sampling is '{}', expected one of sigma, uniform, sigmoid, shift, flux_shift, nextdit_shift", name);
}

WeightingScheme parse_weighting_scheme(std::string_view name) {
  if (name == "sigma_sqrt") return WeightingScheme::sigma_sqrt;
  if (name == "logit_normal") return WeightingScheme::logit_normal;
  if (name == "mode") return WeightingScheme::mode;
  if (name == "cosmap") return WeightingScheme::cosmap;
  if (name == "none") return WeightingScheme::none;
  if (name == "uniform") return WeightingScheme::uniform;
  fail("--weighting_scheme is '{}', expected one of sigma_sqrt, logit_normal, mode, cosmap, none, uniform", name);
}

void validate(const FlowTimestepConfig& config) {
  if (config.min_timestep < 0 || config.max_timestep > kNumFlowTimesteps || config.min_timestep > config.max_timestep) {
    fail("--min_timestep {} and --max_timestep {}: expected 0 <= min <= max <= {}", config.min_timestep,
         config.max_timestep, kNumFlowTimesteps);
  }
  if (!(config.discrete_flow_shift > 0)) {
    fail("--discrete_flow_shift is {}, expected a number above 0", config.discrete_flow_shift);
  }
  if (!(config.training_shift > 0)) fail("--training_shift is {}, expected a number above 0", config.training_shift);
  if (!(config.logit_std > 0)) fail("--logit_std is {}, expected a number above 0", config.logit_std);
}

FlowTimesteps draw_flow_timesteps(const FlowTimestepConfig& config, const at::Tensor& latents,
                                  const RandomSources& random, std::optional<int64_t> timestep) {
  const bool honours_limits = config.sampling == TimestepSampling::sd3 || !config.reference_quirks;
  if (timestep && honours_limits) {
    const auto options = at::TensorOptions(at::kFloat).device(latents.device());
    const at::Tensor timesteps = at::full({latents.size(0)}, static_cast<double>(*timestep), options);
    return {timesteps / kNumTimesteps, timesteps};
  }
  at::Tensor sigmas = draw_sigmas(config, latents, random);
  const bool is_limited = config.min_timestep > 0 || config.max_timestep < kNumFlowTimesteps;
  if (is_limited && honours_limits && config.sampling != TimestepSampling::sd3) {
    const double low = static_cast<double>(config.min_timestep) / kNumTimesteps;
    const double high = static_cast<double>(config.max_timestep) / kNumTimesteps;
    sigmas = sigmas * (high - low) + low;
  }
  return {sigmas, sigmas * kNumTimesteps};
}

at::Tensor shift_sigmas(const at::Tensor& sigmas, double shift) {
  return (sigmas * shift) / (sigmas * (shift - 1) + 1);
}

double shift_sigma(double sigma, double shift) { return sigma * shift / (1 + (shift - 1) * sigma); }

double flux_mu(int64_t num_tokens) {
  constexpr double slope = (1.15 - 0.5) / (4096 - 256);
  constexpr double offset = 0.5 - slope * 256;
  return slope * static_cast<double>(num_tokens) + offset;
}

at::Tensor flow_loss_weights(WeightingScheme scheme, const at::Tensor& sigmas) {
  if (scheme == WeightingScheme::sigma_sqrt) {
    // Without noise the error is zero whatever the model says; infinity times that would be NaN.
    return at::where(sigmas == 0, at::zeros_like(sigmas), at::pow(sigmas, -2.0));
  }
  if (scheme != WeightingScheme::cosmap) return {};
  const at::Tensor bottom = at::rsub(sigmas * 2, 1) + at::pow(sigmas, 2) * 2;
  return at::reciprocal(bottom * std::numbers::pi) * 2;
}

}  // namespace difftune
