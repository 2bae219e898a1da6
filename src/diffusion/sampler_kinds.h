// The samplers behind make_sampler(), one function each, and what they share.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "diffusion/samplers.h"

namespace difftune::samplers {

// a_t of each training timestep. A schedule with zero terminal SNR gets the smallest float16 in place of its 0, so that
// no sigma is infinite.
std::vector<double> alphas_cumprod(const DdpmSchedule& schedule);

// sigma(t) = sqrt((1 - a_t) / a_t), linear between whole timesteps.
class SigmaTable {
 public:
  explicit SigmaTable(const DdpmSchedule& schedule);
  double at(double timestep) const;
  // The timestep of a sigma, linear in log sigma.
  double timestep_of(double sigma) const;

 private:
  std::vector<double> sigmas_;
};

// `num_steps` numbers evenly from the last timestep down to 0, rounded to float32.
std::vector<double> even_timesteps(int64_t num_timesteps, int64_t num_steps);
// The upper `num_steps` of num_steps + 1 such numbers, rounded to whole ones.
std::vector<double> whole_timesteps(int64_t num_timesteps, int64_t num_steps);
// Multiples of num_timesteps / num_steps, falling to 0.
std::vector<double> leading_timesteps(int64_t num_timesteps, int64_t num_steps);

enum class DpmAlgorithm { dpmsolver, dpmsolver_plus_plus };

using Maker = std::unique_ptr<Sampler> (*)(const SamplerConfig&, const DdpmSchedule&);
std::unique_ptr<Sampler> ddim(const SamplerConfig&, const DdpmSchedule&);
std::unique_ptr<Sampler> pndm(const SamplerConfig&, const DdpmSchedule&);
std::unique_ptr<Sampler> lms(const SamplerConfig&, const DdpmSchedule&);
std::unique_ptr<Sampler> euler(const SamplerConfig&, const DdpmSchedule&);
std::unique_ptr<Sampler> euler_ancestral(const SamplerConfig&, const DdpmSchedule&);
std::unique_ptr<Sampler> heun(const SamplerConfig&, const DdpmSchedule&);
std::unique_ptr<Sampler> dpm_2(const SamplerConfig&, const DdpmSchedule&);
std::unique_ptr<Sampler> dpm_2_ancestral(const SamplerConfig&, const DdpmSchedule&);
std::unique_ptr<Sampler> dpm_solver(const SamplerConfig&, const DdpmSchedule&);
std::unique_ptr<Sampler> dpm_solver_plus_plus(const SamplerConfig&, const DdpmSchedule&);
std::unique_ptr<Sampler> dpm_single_step(const SamplerConfig&, const DdpmSchedule&);

}  // namespace difftune::samplers
