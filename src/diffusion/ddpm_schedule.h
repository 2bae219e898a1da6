// The discrete noise schedule of DDPM (Ho et al. 2020) as Stable Diffusion uses it, and its forward process.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace difftune {

// What the model predicts: the noise, or v = sqrt(a) noise - sqrt(1 - a) x0 (Salimans & Ho 2022).
enum class PredictionType { epsilon, velocity };

// Defaults are those of SD 1.x, 2.x and SDXL ("scaled linear": the square roots of the betas are evenly spaced).
struct DdpmScheduleConfig {
  int64_t num_timesteps = 1000;
  double beta_start = 0.00085;
  double beta_end = 0.012;
  // Shift the schedule so that the last timestep is pure noise (arXiv 2305.08891).
  bool zero_terminal_snr = false;
  // Keep snr() of the unshifted schedule where zero_terminal_snr is set, as the reference's loss weights do.
  bool reference_quirks = false;
};

class DdpmSchedule {
 public:
  explicit DdpmSchedule(const DdpmScheduleConfig& config = {}, at::Device device = at::kCPU);

  int64_t num_timesteps() const { return num_timesteps_; }
  // All of shape [num_timesteps], float32, on the schedule's device.
  const at::Tensor& betas() const { return betas_; }
  const at::Tensor& alphas_cumprod() const { return alphas_cumprod_; }
  // a / (1 - a), as (sqrt(a) / sqrt(1 - a))^2.
  const at::Tensor& snr() const { return snr_; }

  // sqrt(a_t) latents + sqrt(1 - a_t) noise. `timesteps` is [B] int64; `a` is rounded to the latents' dtype first, as
  // in diffusers' DDPMScheduler, so in bfloat16 the first steps add no noise.
  at::Tensor add_noise(const at::Tensor& latents, const at::Tensor& noise, const at::Tensor& timesteps) const;
  // sqrt(a_t) noise - sqrt(1 - a_t) latents, with the same rounding.
  at::Tensor velocity(const at::Tensor& latents, const at::Tensor& noise, const at::Tensor& timesteps) const;

 private:
  int64_t num_timesteps_;
  at::Tensor betas_, alphas_cumprod_, snr_;
};

// `values` ([B]) with trailing axes of length one, so that it broadcasts over a tensor of `num_dims` axes.
at::Tensor per_sample(const at::Tensor& values, int64_t num_dims);

}  // namespace difftune
