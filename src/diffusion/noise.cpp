#include "diffusion/noise.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/std.h>
#include <ATen/ops/upsample_bilinear2d.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace difftune {
namespace {

at::TensorOptions float_on(const at::Tensor& like) { return at::TensorOptions(at::kFloat).device(like.device()); }

// [B, C, 1, 1]: what the offset noise is multiplied with where it depends on the latents' channel means.
at::Tensor adaptive(const at::Tensor& offset, double scale, const at::Tensor& latents) {
  return at::clamp((at::abs(latents.mean({2, 3}, /*keepdim=*/true)) * scale) + offset, 0.0);
}
at::Tensor adaptive(double offset, double scale, const at::Tensor& latents) {
  return at::clamp((at::abs(latents.mean({2, 3}, /*keepdim=*/true)) * scale) + offset, 0.0);
}

at::Tensor with_offset(const at::Tensor& noise, const NoiseConfig& config, const at::Tensor& latents,
                       const at::Generator& generator) {
  at::Tensor strength;  // undefined: the plain number config.noise_offset
  if (config.noise_offset_random_strength) strength = at::rand({1}, generator, float_on(latents)) * config.noise_offset;
  if (config.adaptive_noise_scale) {
    strength = strength.defined() ? adaptive(strength, *config.adaptive_noise_scale, latents)
                                  : adaptive(config.noise_offset, *config.adaptive_noise_scale, latents);
  }
  const at::Tensor shift = at::randn({latents.size(0), latents.size(1), 1, 1}, generator, float_on(latents));
  return noise + (strength.defined() ? strength * shift : shift * config.noise_offset);
}

at::Tensor with_lower_resolutions(at::Tensor noise, const NoiseConfig& config, const RandomSources& random) {
  const int64_t batch = noise.size(0), channels = noise.size(1), height = noise.size(2), width = noise.size(3);
  double weight = 1;
  int64_t level = 0;
  for (const auto& [h, w] : multires_sizes(config, height, width, random.python_uniform)) {
    // Drawn on the CPU whatever the device, as in the reference.
    const at::Tensor small =
        at::randn({batch, channels, h, w}, random.cpu, at::TensorOptions(at::kFloat)).to(noise.device());
    const at::Tensor full = at::upsample_bilinear2d(small, {height, width}, /*align_corners=*/false);
    noise.add_(full * weight);
    weight = std::pow(config.multires_noise_discount, static_cast<double>(++level));
  }
  return noise / at::std(noise, /*unbiased=*/true);
}

at::Tensor draw_timesteps(const NoiseConfig& config, const at::Tensor& latents, const at::Generator& generator,
                          std::optional<int64_t> timestep) {
  const int64_t batch = latents.size(0);
  const at::TensorOptions options = at::TensorOptions(at::kLong);
  if (!timestep && config.min_timestep >= config.max_timestep) timestep = config.max_timestep;
  return (timestep ? at::full({batch}, *timestep, options)
                   : at::randint(config.min_timestep, config.max_timestep, {batch}, generator, options))
      .to(latents.device());
}

at::Tensor with_input_perturbation(const at::Tensor& noise, const NoiseConfig& config, const at::Tensor& latents,
                                   const at::Generator& generator) {
  if (!config.ip_noise_gamma_random_strength) {
    return noise + draw_normal_like(latents, generator) * config.ip_noise_gamma;
  }
  const at::Tensor strength = at::rand({1}, generator, float_on(latents)) * config.ip_noise_gamma;
  return noise + strength * draw_normal_like(latents, generator);
}

}  // namespace

std::vector<std::pair<int64_t, int64_t>> multires_sizes(const NoiseConfig& config, int64_t height, int64_t width,
                                                        const std::function<double()>& python_uniform) {
  std::vector<std::pair<int64_t, int64_t>> sizes;
  for (int64_t i = 0; i < config.multires_noise_iterations; ++i) {
    const double divisor = std::pow(python_uniform() * 2 + 2, static_cast<double>(i));
    const auto shrunk = [&](int64_t side) {
      return std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(side) / divisor));
    };
    sizes.emplace_back(shrunk(height), shrunk(width));
    if (sizes.back().first == 1 || sizes.back().second == 1) break;
  }
  return sizes;
}

void validate(const NoiseConfig& config, int64_t num_timesteps) {
  if (config.adaptive_noise_scale && config.noise_offset == 0) {
    fail("--adaptive_noise_scale needs --noise_offset: give an offset above 0 or leave both out");
  }
  if (config.multires_noise_iterations < 0) {
    fail("--multires_noise_iterations is {}, expected 0 or more", config.multires_noise_iterations);
  }
  const int64_t last = config.min_timestep < config.max_timestep ? config.max_timestep - 1 : config.max_timestep;
  if (config.min_timestep < 0 || last < 0 || last >= num_timesteps) {
    fail("--min_timestep {} and --max_timestep {} leave the schedule's range of 0 to {}", config.min_timestep,
         config.max_timestep, num_timesteps);
  }
}

at::Tensor draw_normal_like(const at::Tensor& like, const at::Generator& generator) {
  return at::empty_like(like).normal_(0, 1, generator);
}

NoisyLatents draw_noisy_latents(const NoiseConfig& config, const DdpmSchedule& schedule, const at::Tensor& latents,
                                const RandomSources& random, std::optional<int64_t> timestep) {
  at::Tensor noise = draw_normal_like(latents, random.device);
  if (config.noise_offset != 0) noise = with_offset(noise, config, latents, random.device);
  if (config.multires_noise_iterations > 0) noise = with_lower_resolutions(noise, config, random);
  const at::Tensor timesteps = draw_timesteps(config, latents, random.cpu, timestep);
  const at::Tensor added =
      config.ip_noise_gamma == 0 ? noise : with_input_perturbation(noise, config, latents, random.device);
  return {noise, schedule.add_noise(latents, added, timesteps), timesteps};
}

}  // namespace difftune
