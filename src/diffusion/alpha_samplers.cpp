// Samplers that work on a_t, the part of the signal left at timestep t: DDIM and PNDM.
#include <ATen/TensorOperators.h>
#include <ATen/ops/clamp.h>

#include <algorithm>
#include <cmath>
#include <deque>

#include "base/error.h"
#include "diffusion/sampler_kinds.h"

namespace difftune::samplers {
namespace {

// arXiv 2010.02502, formula (12) without noise.
class Ddim final : public Sampler {
 public:
  Ddim(const SamplerConfig& config, const DdpmSchedule& schedule)
      : Sampler(leading_timesteps(schedule.num_timesteps(), config.num_steps), 1.0),
        alphas_(alphas_cumprod(schedule)),
        spacing_(schedule.num_timesteps() / config.num_steps),
        prediction_(config.prediction),
        clip_(config.reference_quirks) {}

 protected:
  at::Tensor advance(const Call& call) override {
    const auto timestep = static_cast<int64_t>(timesteps()[call.index]);
    const int64_t previous = timestep - spacing_;
    const double alpha = alphas_[static_cast<size_t>(timestep)];
    const double alpha_previous = previous >= 0 ? alphas_[static_cast<size_t>(previous)] : 1.0;
    const double signal = std::sqrt(alpha), sigma = std::sqrt(1 - alpha);
    const bool velocity = prediction_ == PredictionType::velocity;
    at::Tensor clean = velocity ? signal * call.x - sigma * call.output : (call.x - sigma * call.output) / signal;
    const at::Tensor noise = velocity ? signal * call.output + sigma * call.x : call.output;
    if (clip_) clean = at::clamp(clean, -1, 1);
    return std::sqrt(alpha_previous) * clean + std::sqrt(1 - alpha_previous) * noise;
  }

 private:
  std::vector<double> alphas_;
  int64_t spacing_;
  PredictionType prediction_;
  bool clip_;
};

// arXiv 2202.09778: three Runge-Kutta steps of four calls, then linear multistep.
class Pndm final : public Sampler {
 public:
  Pndm(const SamplerConfig& config, const DdpmSchedule& schedule)
      : Sampler(calls(schedule.num_timesteps(), config.num_steps), 1.0),
        alphas_(alphas_cumprod(schedule)),
        spacing_(schedule.num_timesteps() / config.num_steps),
        prediction_(config.prediction) {}

 protected:
  at::Tensor advance(const Call& call) override {
    return call.index < num_runge_kutta_calls ? runge_kutta(call) : multistep(call);
  }

 private:
  static constexpr size_t num_runge_kutta_calls = 12;

  static std::vector<double> calls(int64_t num_timesteps, int64_t num_steps) {
    const std::vector<double> steps = leading_timesteps(num_timesteps, num_steps);
    const auto half = static_cast<double>(num_timesteps / num_steps / 2);
    std::vector<double> timesteps;
    for (size_t i = 0; i < 3; ++i) {
      const double middle = steps[i + 1] + half;
      for (const double timestep : {steps[i], middle, middle, steps[i + 1]}) timesteps.push_back(timestep);
    }
    timesteps.insert(timesteps.end(), steps.begin() + 3, steps.end());
    return timesteps;
  }

  at::Tensor runge_kutta(const Call& call) {
    const auto now = static_cast<int64_t>(timesteps()[call.index]);
    const int64_t to = call.index % 2 == 1 ? now : now - spacing_ / 2;
    const auto from = static_cast<int64_t>(timesteps()[call.index / 4 * 4]);
    switch (call.index % 4) {
      case 0:
        if (call.index == 0) outputs_.clear();
        outputs_.push_back(call.output);
        start_ = call.x;
        sum_ = call.output / 6;
        return transfer(start_, from, to, call.output);
      case 3:
        return transfer(start_, from, to, sum_ + call.output / 6);
      default:
        sum_ = sum_ + call.output / 3;
        return transfer(start_, from, to, call.output);
    }
  }

  at::Tensor multistep(const Call& call) {
    outputs_.push_back(call.output);
    if (outputs_.size() > 4) outputs_.pop_front();
    const at::Tensor output = (55 * outputs_[3] - 59 * outputs_[2] + 37 * outputs_[1] - 9 * outputs_[0]) / 24;
    const auto now = static_cast<int64_t>(timesteps()[call.index]);
    return transfer(call.x, now, now - spacing_, output);
  }

  // Formula (9).
  at::Tensor transfer(const at::Tensor& x, int64_t from, int64_t to, at::Tensor output) const {
    const double a = alphas_[static_cast<size_t>(from)];
    const double b = alphas_[static_cast<size_t>(std::max<int64_t>(to, 0))];
    if (prediction_ == PredictionType::velocity) output = std::sqrt(a) * output + std::sqrt(1 - a) * x;
    const double denominator = a * std::sqrt(1 - b) + std::sqrt(a * (1 - a) * b);
    return std::sqrt(b / a) * x - ((b - a) / denominator) * output;
  }

  std::vector<double> alphas_;
  int64_t spacing_;
  PredictionType prediction_;
  std::deque<at::Tensor> outputs_;
  at::Tensor start_, sum_;
};

}  // namespace

std::unique_ptr<Sampler> ddim(const SamplerConfig& config, const DdpmSchedule& schedule) {
  return std::make_unique<Ddim>(config, schedule);
}

std::unique_ptr<Sampler> pndm(const SamplerConfig& config, const DdpmSchedule& schedule) {
  if (config.num_steps < 4) fail("sampler pndm needs 4 steps or more, got {}", config.num_steps);
  return std::make_unique<Pndm>(config, schedule);
}

}  // namespace difftune::samplers
