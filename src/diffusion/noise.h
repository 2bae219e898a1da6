// The random draws of one training step, in the reference's order, so that one seed gives one run.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "diffusion/ddpm_schedule.h"

namespace difftune {

// The three sequences a training step draws from. On a CPU run `device` and `cpu` are the same generator.
struct RandomSources {
  at::Generator device;
  at::Generator cpu;
  // Numbers in [0, 1) of the run's Python generator. The plan of an epoch draws them ahead (see multires_sizes).
  std::function<double()> python_uniform;
};

// Zero switches a feature off. Names and meaning are those of the command line options.
struct NoiseConfig {
  // Adds offset * N(0, 1) per image and channel (crosslabs.org, "diffusion with offset noise").
  double noise_offset = 0;
  bool noise_offset_random_strength = false;
  std::optional<double> adaptive_noise_scale = std::nullopt;
  // Adds noise of lower resolutions, then scales back to unit variance.
  int64_t multires_noise_iterations = 0;
  double multires_noise_discount = 0.3;
  // Perturbs the noise that is added, not the target (arXiv 2301.11706).
  double ip_noise_gamma = 0;
  bool ip_noise_gamma_random_strength = false;
  // Timesteps are uniform in [min_timestep, max_timestep); where that is empty, always max_timestep.
  int64_t min_timestep = 0;
  int64_t max_timestep = 1000;
};

// Throws UserError where a value is out of range or needs another option.
void validate(const NoiseConfig& config, int64_t num_timesteps);

// Height and width of the lower resolutions that multires noise adds to latents of this size; draws one number for
// each.
std::vector<std::pair<int64_t, int64_t>> multires_sizes(const NoiseConfig& config, int64_t height, int64_t width,
                                                        const std::function<double()>& python_uniform);

struct NoisyLatents {
  at::Tensor noise;          // the latents' shape; float32 with a noise offset, else the latents' dtype
  at::Tensor noisy_latents;  // the latents' shape
  at::Tensor timesteps;      // [B] int64, on the latents' device
};

// `latents` is [B, C, h, w], scaled. A `timestep` given replaces the drawn ones (no draw), as validation does.
NoisyLatents draw_noisy_latents(const NoiseConfig& config, const DdpmSchedule& schedule, const at::Tensor& latents,
                                const RandomSources& random, std::optional<int64_t> timestep = std::nullopt);

// N(0, 1) of the shape, dtype, device and memory layout of `like`.
at::Tensor draw_normal_like(const at::Tensor& like, const at::Generator& generator);

}  // namespace difftune
