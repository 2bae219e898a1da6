// Samplers that work on sigma, the noise per unit of signal (Karras et al. 2022, crowsonkb's k-diffusion).
#include <ATen/TensorOperators.h>
#include <ATen/ops/clamp.h>

#include <cmath>
#include <deque>

#include "diffusion/sampler_kinds.h"

namespace difftune::samplers {
namespace {

// `sigmas[k]` belongs to the k-th of num_steps timesteps; one 0 follows.
std::vector<double> sigmas_at(const SigmaTable& table, const std::vector<double>& timesteps) {
  std::vector<double> sigmas;
  for (const double timestep : timesteps) sigmas.push_back(static_cast<float>(table.at(timestep)));
  sigmas.push_back(0);
  return sigmas;
}

class SigmaSampler : public Sampler {
 public:
  at::Tensor scale_model_input(const at::Tensor& x, size_t call) const override {
    const double sigma = sigma_of_call(call);
    return x / std::sqrt(sigma * sigma + 1);
  }

 protected:
  SigmaSampler(const SamplerConfig& config, std::vector<double> sigmas, std::vector<double> timesteps)
      : Sampler(std::move(timesteps), sigmas.front()), sigmas_(std::move(sigmas)), prediction_(config.prediction) {}

  // The noise level the model sees in a call.
  virtual double sigma_of_call(size_t call) const { return sigmas_[call]; }

  // The prediction of x without its noise.
  at::Tensor denoised(const Call& call, double sigma) const {
    if (prediction_ == PredictionType::epsilon) return call.x - sigma * call.output;
    const double variance = sigma * sigma + 1;
    return call.output * (-sigma / std::sqrt(variance)) + call.x / variance;
  }
  // dx / dsigma.
  at::Tensor slope(const Call& call, double sigma) const { return (call.x - denoised(call, sigma)) / sigma; }

  std::vector<double> sigmas_;

 private:
  PredictionType prediction_;
};

class Euler final : public SigmaSampler {
 public:
  Euler(const SamplerConfig& config, const SigmaTable& table, const std::vector<double>& timesteps)
      : SigmaSampler(config, sigmas_at(table, timesteps), timesteps) {}

 protected:
  at::Tensor advance(const Call& call) override {
    const double sigma = sigmas_[call.index], next = sigmas_[call.index + 1];
    return call.x + slope(call, sigma) * (next - sigma);
  }
};

// How far an ancestral step goes down and how much noise it adds back to arrive at `next`.
struct AncestralStep {
  double down, up;
  AncestralStep(double sigma, double next) {
    up = std::sqrt(next * next * (sigma * sigma - next * next) / (sigma * sigma));
    down = std::sqrt(next * next - up * up);
  }
};

class EulerAncestral final : public SigmaSampler {
 public:
  EulerAncestral(const SamplerConfig& config, const SigmaTable& table, const std::vector<double>& timesteps)
      : SigmaSampler(config, sigmas_at(table, timesteps), timesteps) {}

 protected:
  at::Tensor advance(const Call& call) override {
    const double sigma = sigmas_[call.index];
    const AncestralStep to(sigma, sigmas_[call.index + 1]);
    return call.x + slope(call, sigma) * (to.down - sigma) + call.noise() * to.up;
  }
};

// Linear multistep of order four.
class Lms final : public SigmaSampler {
 public:
  Lms(const SamplerConfig& config, const SigmaTable& table, const std::vector<double>& timesteps)
      : SigmaSampler(config, sigmas_at(table, timesteps), timesteps) {}

 protected:
  at::Tensor advance(const Call& call) override {
    if (call.index == 0) slopes_.clear();
    slopes_.push_front(slope(call, sigmas_[call.index]));
    if (slopes_.size() > 4) slopes_.pop_back();
    at::Tensor x = call.x;
    for (size_t i = 0; i < slopes_.size(); ++i) x = x + weight(call.index, i) * slopes_[i];
    return x;
  }

 private:
  // The integral over the step of the Lagrange polynomial that is 1 at the i-th last sigma. It is a cubic at most, for
  // which Simpson's rule is exact.
  double weight(size_t index, size_t i) const {
    const auto lagrange = [&](double sigma) {
      double product = 1;
      for (size_t k = 0; k < slopes_.size(); ++k) {
        if (k != i) product *= (sigma - sigmas_[index - k]) / (sigmas_[index - i] - sigmas_[index - k]);
      }
      return product;
    };
    const double from = sigmas_[index], to = sigmas_[index + 1];
    return (to - from) / 6 * (lagrange(from) + 4 * lagrange((from + to) / 2) + lagrange(to));
  }

  std::deque<at::Tensor> slopes_;
};

// Two calls a step but the last: call 2k looks at sigma_k, call 2k + 1 at `second_sigmas[k]`.
std::vector<double> interleaved(const std::vector<double>& first, const std::vector<double>& second) {
  std::vector<double> result;
  for (size_t k = 0; k < first.size(); ++k) {
    result.push_back(first[k]);
    if (k + 1 < first.size()) result.push_back(second[k]);
  }
  return result;
}

class TwoCallSampler : public SigmaSampler {
 protected:
  TwoCallSampler(const SamplerConfig& config, std::vector<double> sigmas, std::vector<double> second_sigmas,
                 std::vector<double> timesteps)
      : SigmaSampler(config, std::move(sigmas), std::move(timesteps)), second_sigmas_(std::move(second_sigmas)) {}

  double sigma_of_call(size_t call) const override {
    return call % 2 == 0 ? sigmas_[call / 2] : second_sigmas_[call / 2];
  }

  std::vector<double> second_sigmas_;
  at::Tensor start_;
};

class Heun final : public TwoCallSampler {
 public:
  Heun(const SamplerConfig& config, const SigmaTable& table, const std::vector<double>& steps)
      : TwoCallSampler(config, sigmas_at(table, steps), next_sigmas(sigmas_at(table, steps)),
                       interleaved(steps, next_sigmas(steps))),
        clip_(config.reference_quirks) {}

 protected:
  at::Tensor advance(const Call& call) override {
    const size_t k = call.index / 2;
    const double sigma = sigma_of_call(call.index);
    at::Tensor clean = denoised(call, sigma);
    if (clip_) clean = at::clamp(clean, -1, 1);
    at::Tensor here = (call.x - clean) / sigma;
    if (call.index % 2 == 0) {
      start_ = call.x;
      slope_ = here;
    } else {
      here = (slope_ + here) / 2;
    }
    return start_ + here * (sigmas_[k + 1] - sigmas_[k]);
  }

 private:
  static std::vector<double> next_sigmas(const std::vector<double>& values) {
    return {values.begin() + 1, values.end()};
  }

  at::Tensor slope_;
  bool clip_;
};

// DPM-Solver-2 in sigma: a step to the geometric mean of two sigmas, then one from the start with the slope found
// there.
class Dpm2 final : public TwoCallSampler {
 public:
  Dpm2(const SamplerConfig& config, const std::vector<double>& sigmas, const std::vector<double>& middle,
       std::vector<double> timesteps, bool ancestral)
      : TwoCallSampler(config, sigmas, middle, std::move(timesteps)), ancestral_(ancestral) {}

 protected:
  at::Tensor advance(const Call& call) override {
    const size_t k = call.index / 2;
    const double sigma = sigmas_[k];
    const at::Tensor here = slope(call, sigma_of_call(call.index));
    if (call.index % 2 == 0) {
      start_ = call.x;
      return start_ + here * (second_sigmas_[k] - sigma);
    }
    if (!ancestral_) return start_ + here * (sigmas_[k + 1] - sigma);
    const AncestralStep to(sigma, sigmas_[k + 1]);
    return start_ + here * (to.down - sigma) + call.noise() * to.up;
  }

 private:
  bool ancestral_;
};

std::unique_ptr<Sampler> make_dpm_2(const SamplerConfig& config, const DdpmSchedule& schedule, bool ancestral) {
  const SigmaTable table(schedule);
  const std::vector<double> steps = even_timesteps(schedule.num_timesteps(), config.num_steps);
  const std::vector<double> sigmas = sigmas_at(table, steps);
  std::vector<double> middle, middle_timesteps;
  for (size_t k = 0; k < steps.size(); ++k) {
    const bool last = k + 1 == steps.size();
    const double target = ancestral && !last ? AncestralStep(sigmas[k], sigmas[k + 1]).down : sigmas[k + 1];
    middle.push_back(last ? 0.0 : std::sqrt(sigmas[k] * target));
    middle_timesteps.push_back(last ? 0.0 : static_cast<float>(table.timestep_of(middle[k])));
  }
  return std::make_unique<Dpm2>(config, sigmas, middle, interleaved(steps, middle_timesteps), ancestral);
}

template <typename Kind>
std::unique_ptr<Sampler> make(const SamplerConfig& config, const DdpmSchedule& schedule) {
  return std::make_unique<Kind>(config, SigmaTable(schedule),
                                even_timesteps(schedule.num_timesteps(), config.num_steps));
}

}  // namespace

std::unique_ptr<Sampler> euler(const SamplerConfig& config, const DdpmSchedule& schedule) {
  return make<Euler>(config, schedule);
}
std::unique_ptr<Sampler> euler_ancestral(const SamplerConfig& config, const DdpmSchedule& schedule) {
  return make<EulerAncestral>(config, schedule);
}
std::unique_ptr<Sampler> lms(const SamplerConfig& config, const DdpmSchedule& schedule) {
  return make<Lms>(config, schedule);
}
std::unique_ptr<Sampler> heun(const SamplerConfig& config, const DdpmSchedule& schedule) {
  return make<Heun>(config, schedule);
}
std::unique_ptr<Sampler> dpm_2(const SamplerConfig& config, const DdpmSchedule& schedule) {
  return make_dpm_2(config, schedule, /*ancestral=*/false);
}
std::unique_ptr<Sampler> dpm_2_ancestral(const SamplerConfig& config, const DdpmSchedule& schedule) {
  return make_dpm_2(config, schedule, /*ancestral=*/true);
}

}  // namespace difftune::samplers
