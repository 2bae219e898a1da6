#include "diffusion/samplers.h"

#include <ATen/ops/randn.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "diffusion/sampler_kinds.h"

namespace difftune {
namespace {

struct Row {
  const char* name;
  samplers::Maker make;
};

constexpr Row table[] = {
    {"ddim", samplers::ddim},
    {"pndm", samplers::pndm},
    {"lms", samplers::lms},
    {"euler", samplers::euler},
    {"euler_a", samplers::euler_ancestral},
    {"heun", samplers::heun},
    {"dpm_2", samplers::dpm_2},
    {"dpm_2_a", samplers::dpm_2_ancestral},
    {"dpmsolver", samplers::dpm_solver},
    {"dpmsolver++", samplers::dpm_solver_plus_plus},
    {"dpmsingle", samplers::dpm_single_step},
    {"k_lms", samplers::lms},
    {"k_euler", samplers::euler},
    {"k_euler_a", samplers::euler_ancestral},
    {"k_dpm_2", samplers::dpm_2},
    {"k_dpm_2_a", samplers::dpm_2_ancestral},
};

}  // namespace

at::Tensor Sampler::Call::noise() const {
  return at::randn(output.sizes(), generator, at::TensorOptions(output_type).device(output.device())).to(at::kFloat);
}

at::Tensor Sampler::step(const at::Tensor& model_output, size_t call, const at::Tensor& x, at::Generator& generator) {
  DT_CHECK(call == 0 || call == next_call_, "sampler call {} after {}", call, next_call_);
  DT_CHECK(call < timesteps_.size(), "sampler call {} of {}", call, timesteps_.size());
  next_call_ = call + 1;
  return advance({call, model_output.to(at::kFloat), x.to(at::kFloat), model_output.scalar_type(), generator})
      .to(x.scalar_type());
}

std::unique_ptr<Sampler> make_sampler(const SamplerConfig& config, const DdpmSchedule& schedule) {
  if (config.num_steps < 1 || config.num_steps > schedule.num_timesteps()) {
    fail("{} sampling steps asked for, expected 1 to {}", config.num_steps, schedule.num_timesteps());
  }
  for (const Row& row : table) {
    if (config.name == row.name) return row.make(config, schedule);
  }
  fail("unknown sampler '{}', expected one of {}", config.name, fmt::join(sampler_names(), ", "));
}

std::vector<std::string> sampler_names() {
  std::vector<std::string> names;
  for (const Row& row : table) names.emplace_back(row.name);
  return names;
}

namespace samplers {

std::vector<double> alphas_cumprod(const DdpmSchedule& schedule) {
  const at::Tensor table = schedule.alphas_cumprod().cpu().contiguous();
  const float* values = table.const_data_ptr<float>();
  std::vector<double> alphas(values, values + table.numel());
  if (alphas.back() == 0) alphas.back() = std::ldexp(1.0, -24);
  return alphas;
}

SigmaTable::SigmaTable(const DdpmSchedule& schedule) {
  for (const double value : alphas_cumprod(schedule)) {
    const float a = static_cast<float>(value);
    sigmas_.push_back(std::sqrt((1.0F - a) / a));
  }
}

double SigmaTable::at(double timestep) const {
  const size_t low = std::min(static_cast<size_t>(timestep), sigmas_.size() - 2);
  return sigmas_[low] + (sigmas_[low + 1] - sigmas_[low]) * (timestep - static_cast<double>(low));
}

double SigmaTable::timestep_of(double sigma) const {
  const auto above = std::upper_bound(sigmas_.begin(), sigmas_.end(), sigma);
  const size_t high = std::clamp<size_t>(static_cast<size_t>(above - sigmas_.begin()), 1, sigmas_.size() - 1);
  const double low_log = std::log(sigmas_[high - 1]), high_log = std::log(sigmas_[high]);
  const double part = (std::log(std::max(sigma, 1e-10)) - low_log) / (high_log - low_log);
  return static_cast<double>(high - 1) + std::clamp(part, 0.0, 1.0);
}

std::vector<double> even_timesteps(int64_t num_timesteps, int64_t num_steps) {
  const double spacing =
      static_cast<double>(num_timesteps - 1) / static_cast<double>(std::max<int64_t>(1, num_steps - 1));
  std::vector<double> timesteps;
  for (int64_t i = num_steps; i-- > 0;) timesteps.push_back(static_cast<float>(static_cast<double>(i) * spacing));
  return timesteps;
}

std::vector<double> whole_timesteps(int64_t num_timesteps, int64_t num_steps) {
  const double spacing = static_cast<double>(num_timesteps - 1) / static_cast<double>(num_steps);
  std::vector<double> timesteps;
  for (int64_t i = num_steps; i > 0; --i) timesteps.push_back(std::nearbyint(static_cast<double>(i) * spacing));
  return timesteps;
}

std::vector<double> leading_timesteps(int64_t num_timesteps, int64_t num_steps) {
  const int64_t spacing = num_timesteps / num_steps;
  std::vector<double> timesteps;
  for (int64_t i = num_steps; i-- > 0;) timesteps.push_back(static_cast<double>(i * spacing));
  return timesteps;
}

}  // namespace samplers
}  // namespace difftune
