// The timesteps of rectified flow training (arXiv:2403.03206): how much of a sample is noise, and how that is drawn.
//
// sigma in [0, 1] is the share of noise, x_sigma = (1 - sigma) x + sigma noise; a timestep is 1000 sigma.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string_view>

#include "diffusion/noise.h"

namespace difftune {

inline constexpr int64_t kNumFlowTimesteps = 1000;

// The values of --timestep_sampling, and the way of SD3, which has no such option.
enum class TimestepSampling {
  sigma,          // an index into the shifted table of a discrete schedule, by the density of a weighting scheme
  uniform,        // sigma uniform in [0, 1)
  sigmoid,        // sigmoid(scale N(0, 1))
  shift,          // the same, shifted by discrete_flow_shift
  flux_shift,     // the same, shifted by the number of image tokens
  nextdit_shift,  // uniform, shifted by the number of image tokens
  sd3             // whole timesteps by the density of a weighting scheme, shifted by training_shift
};

// The values of --weighting_scheme: a density of timesteps (logit_normal, mode), or a weight of the loss (sigma_sqrt,
// cosmap).
enum class WeightingScheme { sigma_sqrt, logit_normal, mode, cosmap, none, uniform };

// UserError names the possible values.
TimestepSampling parse_timestep_sampling(std::string_view name);
WeightingScheme parse_weighting_scheme(std::string_view name);

// Names and meaning are those of the command line options.
struct FlowTimestepConfig {
  TimestepSampling sampling = TimestepSampling::sigma;
  double sigmoid_scale = 1;
  double discrete_flow_shift = 3;
  double training_shift = 1;
  WeightingScheme weighting = WeightingScheme::uniform;
  double logit_mean = 0, logit_std = 1;
  double mode_scale = 1.29;
  // Drawn timesteps are mapped linearly into [min_timestep, max_timestep].
  int64_t min_timestep = 0, max_timestep = kNumFlowTimesteps;
  // Smallest sigma before a shift by the number of tokens, which divides by it.
  double smallest_sigma = 0;
  // Ignore the limits and a given timestep unless the sampling is sd3's, as the reference does.
  bool reference_quirks = false;
};

// Throws UserError where a value is out of range.
void validate(const FlowTimestepConfig& config);

struct FlowTimesteps {
  at::Tensor sigmas;     // [B] float32
  at::Tensor timesteps;  // [B] float32, 1000 sigma
};

// Draws for `latents` ([B, C, h, w], of which 2 x 2 make a token): sigma, logit_normal, mode and sd3 from the CPU
// generator, the others from the device's. A `timestep` given replaces the draw.
FlowTimesteps draw_flow_timesteps(const FlowTimestepConfig& config, const at::Tensor& latents,
                                  const RandomSources& random, std::optional<int64_t> timestep = std::nullopt);

// s k / (1 + (k - 1) s): the shift of a share of noise to a higher resolution (arXiv:2403.03206, eq. 23).
at::Tensor shift_sigmas(const at::Tensor& sigmas, double shift);
double shift_sigma(double sigma, double shift);

// The exponent of FLUX's shift, linear in the number of image tokens: 0.5 at 256, 1.15 at 4096.
// Source: black-forest-labs/flux, src/flux/sampling.py.
double flux_mu(int64_t num_tokens);

// The loss weight of each sigma ([B] float32); undefined for the schemes that weigh nothing.
at::Tensor flow_loss_weights(WeightingScheme scheme, const at::Tensor& sigmas);

}  // namespace difftune
