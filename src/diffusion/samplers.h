// The reverse process for sample images: a few dozen model calls that turn noise into latents.
// Formulas and constants are those of diffusers 0.32.1's schedulers as the reference configures them.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "diffusion/ddpm_schedule.h"

namespace difftune {

// One run of a sampler. Second-order samplers call the model more often than `num_steps`.
//   x = noise * sampler.init_noise_sigma();
//   for i in [0, timesteps().size()):
//     x = sampler.step(model(sampler.scale_model_input(x, i), timesteps()[i]), i, x, generator);
class Sampler {
 public:
  virtual ~Sampler() = default;

  // The time input of each model call, from noisy to clean; not always whole numbers.
  const std::vector<double>& timesteps() const { return timesteps_; }
  double init_noise_sigma() const { return init_noise_sigma_; }
  virtual at::Tensor scale_model_input(const at::Tensor& x, size_t call) const { return x; }

  // The latents after model call `call` (0, 1, 2, ... in turn; 0 begins a new picture). `x` is what went into
  // scale_model_input. Computed in float32, returned in x's dtype. Only ancestral samplers draw from `generator`.
  at::Tensor step(const at::Tensor& model_output, size_t call, const at::Tensor& x, at::Generator& generator);

 protected:
  Sampler(std::vector<double> timesteps, double init_noise_sigma)
      : timesteps_(std::move(timesteps)), init_noise_sigma_(init_noise_sigma) {}

  // `output` and `x` are float32. `noise` draws N(0, 1) of the model output's shape and dtype.
  struct Call {
    size_t index;
    at::Tensor output, x;
    at::ScalarType output_type;
    at::Generator& generator;
    at::Tensor noise() const;
  };
  virtual at::Tensor advance(const Call& call) = 0;

 private:
  std::vector<double> timesteps_;
  double init_noise_sigma_;
  size_t next_call_ = 0;
};

struct SamplerConfig {
  std::string name = "ddim";
  int64_t num_steps = 30;
  PredictionType prediction = PredictionType::epsilon;
  // ddim and heun clip the predicted latents to -1..1, as the reference's samples are; that range is for pixels.
  bool reference_quirks = false;
};

// Throws UserError for an unknown name (with the known ones) and a number of steps that the sampler can't do.
std::unique_ptr<Sampler> make_sampler(const SamplerConfig& config, const DdpmSchedule& schedule);

// The values of --sample_sampler.
std::vector<std::string> sampler_names();

}  // namespace difftune
