#include "diffusion/flow_sampler.h"

#include <ATen/TensorOperators.h>

#include <cmath>

#include "base/error.h"
#include "diffusion/flow_timesteps.h"

namespace difftune {
namespace {

void check_steps(int64_t num_steps) {
  if (num_steps < 1 || num_steps > kNumFlowTimesteps) {
    fail("{} sampling steps asked for, expected 1 to {}", num_steps, kNumFlowTimesteps);
  }
}

std::vector<double> evenly_spaced(double first, double last, int64_t count) {
  std::vector<double> values;
  for (int64_t i = 0; i < count; ++i) {
    const double part = count > 1 ? static_cast<double>(i) / static_cast<double>(count - 1) : 0;
    values.push_back(first + (last - first) * part);
  }
  return values;
}

std::vector<double> shifted_with_zero(std::vector<double> sigmas, double shift) {
  for (double& sigma : sigmas) sigma = shift_sigma(sigma, shift);
  sigmas.push_back(0);
  return sigmas;
}

std::vector<double> timesteps_of(const std::vector<double>& sigmas) {
  std::vector<double> timesteps;
  for (size_t i = 0; i + 1 < sigmas.size(); ++i) {
    timesteps.push_back(sigmas[i] * static_cast<double>(kNumFlowTimesteps));
  }
  return timesteps;
}

class FlowEuler final : public Sampler {
 public:
  FlowEuler(const std::vector<double>& sigmas, FlowDirection direction)
      : Sampler(timesteps_of(sigmas), 1.0), sigmas_(sigmas), sign_(direction == FlowDirection::to_noise ? 1 : -1) {}

 private:
  at::Tensor advance(const Call& call) override {
    return call.x + call.output * (sign_ * (sigmas_[call.index + 1] - sigmas_[call.index]));
  }

  std::vector<double> sigmas_;
  double sign_;
};

}  // namespace

std::vector<double> flux_sigmas(int64_t num_steps, int64_t num_image_tokens, bool is_shifted) {
  check_steps(num_steps);
  std::vector<double> sigmas = evenly_spaced(1, 0, num_steps + 1);
  if (is_shifted) {
    const double shift = std::exp(flux_mu(num_image_tokens));
    for (double& sigma : sigmas) sigma = shift_sigma(sigma, shift);
  }
  return sigmas;
}

std::vector<double> sd3_sigmas(int64_t num_steps, double shift) {
  check_steps(num_steps);
  const double smallest = shift_sigma(1 / static_cast<double>(kNumFlowTimesteps), shift);
  return shifted_with_zero(evenly_spaced(1, smallest, num_steps), shift);
}

std::vector<double> lumina_sigmas(int64_t num_steps, double shift) {
  check_steps(num_steps);
  return shifted_with_zero(evenly_spaced(1, 1 / static_cast<double>(num_steps), num_steps), shift);
}

std::unique_ptr<Sampler> make_flow_euler_sampler(const std::vector<double>& sigmas, FlowDirection direction) {
  DT_CHECK(sigmas.size() >= 2, "{} sigmas", sigmas.size());
  return std::make_unique<FlowEuler>(sigmas, direction);
}

}  // namespace difftune
