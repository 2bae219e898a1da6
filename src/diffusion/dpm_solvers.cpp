// DPM-Solver (arXiv 2206.00927) and DPM-Solver++ (arXiv 2211.01095) of order two, midpoint form.
#include <ATen/TensorOperators.h>

#include <cmath>

#include "diffusion/sampler_kinds.h"

namespace difftune::samplers {
namespace {

// x = alpha x0 + sigma noise with alpha^2 + sigma^2 = 1, and lambda = log(alpha / sigma).
struct Level {
  double alpha, sigma, lambda;
  // `ratio` is sigma / alpha.
  explicit Level(double ratio)
      : alpha(1 / std::sqrt(ratio * ratio + 1)), sigma(ratio * alpha), lambda(std::log(alpha) - std::log(sigma)) {}
};

class DpmSolver : public Sampler {
 protected:
  DpmSolver(const SamplerConfig& config, const DdpmSchedule& schedule, DpmAlgorithm algorithm)
      : Sampler(whole_timesteps(schedule.num_timesteps(), config.num_steps), 1.0),
        algorithm_(algorithm),
        prediction_(config.prediction) {
    const SigmaTable table(schedule);
    for (const double timestep : timesteps()) levels_.emplace_back(static_cast<float>(table.at(timestep)));
    // DPM-Solver can't go to sigma 0, where its lambda is infinite; it ends at the first training timestep.
    levels_.emplace_back(algorithm == DpmAlgorithm::dpmsolver ? table.at(0) : 0.0);
  }

  // The x0 (++) or noise that the model's output stands for.
  at::Tensor converted(const Call& call) const {
    const Level& level = levels_[call.index];
    const bool velocity = prediction_ == PredictionType::velocity;
    if (algorithm_ == DpmAlgorithm::dpmsolver_plus_plus) {
      return velocity ? level.alpha * call.x - level.sigma * call.output
                      : (call.x - level.sigma * call.output) / level.alpha;
    }
    return velocity ? level.alpha * call.output + level.sigma * call.x : call.output;
  }

  // The exact solution from `from` to `to` for a model whose output is `value`.
  at::Tensor solve(const Level& from, const Level& to, const at::Tensor& x, const at::Tensor& value) const {
    const double h = to.lambda - from.lambda;
    if (algorithm_ == DpmAlgorithm::dpmsolver_plus_plus) {
      return (to.sigma / from.sigma) * x - (to.alpha * std::expm1(-h)) * value;
    }
    return (to.alpha / from.alpha) * x - (to.sigma * std::expm1(h)) * value;
  }

  std::vector<Level> levels_;  // one for each call, and the end
  DpmAlgorithm algorithm_;

 private:
  PredictionType prediction_;
};

class Multistep final : public DpmSolver {
 public:
  Multistep(const SamplerConfig& config, const DdpmSchedule& schedule, DpmAlgorithm algorithm)
      : DpmSolver(config, schedule, algorithm) {}

 protected:
  at::Tensor advance(const Call& call) override {
    const at::Tensor value = converted(call);
    const size_t i = call.index;
    const bool last = i + 1 == timesteps().size();
    // Few steps end with a first-order one for stability; so does every run to sigma 0.
    const bool first_order =
        i == 0 || (last && (timesteps().size() < 15 || algorithm_ == DpmAlgorithm::dpmsolver_plus_plus));
    at::Tensor used = value;
    if (!first_order) {
      const double h = levels_[i + 1].lambda - levels_[i].lambda;
      const double h_before = levels_[i].lambda - levels_[i - 1].lambda;
      used = value + (value - previous_) * (0.5 * h / h_before);
    }
    previous_ = value;
    return solve(levels_[i], levels_[i + 1], call.x, used);
  }

 private:
  at::Tensor previous_;
};

// Steps in pairs: a first-order one, then one of second order from the start of the first. The last is of first order.
class SingleStep final : public DpmSolver {
 public:
  SingleStep(const SamplerConfig& config, const DdpmSchedule& schedule)
      : DpmSolver(config, schedule, DpmAlgorithm::dpmsolver_plus_plus) {}

 protected:
  at::Tensor advance(const Call& call) override {
    const at::Tensor value = converted(call);
    const size_t i = call.index;
    const bool last = i + 1 == timesteps().size();
    if (i % 2 == 0 || last) {
      start_ = call.x;
      previous_ = value;
      return solve(levels_[i], levels_[i + 1], call.x, value);
    }
    const double h = levels_[i + 1].lambda - levels_[i - 1].lambda;
    const double h_before = levels_[i].lambda - levels_[i - 1].lambda;
    return solve(levels_[i - 1], levels_[i + 1], start_, previous_ + (value - previous_) * (0.5 * h / h_before));
  }

 private:
  at::Tensor start_, previous_;
};

}  // namespace

std::unique_ptr<Sampler> dpm_solver(const SamplerConfig& config, const DdpmSchedule& schedule) {
  return std::make_unique<Multistep>(config, schedule, DpmAlgorithm::dpmsolver);
}
std::unique_ptr<Sampler> dpm_solver_plus_plus(const SamplerConfig& config, const DdpmSchedule& schedule) {
  return std::make_unique<Multistep>(config, schedule, DpmAlgorithm::dpmsolver_plus_plus);
}
std::unique_ptr<Sampler> dpm_single_step(const SamplerConfig& config, const DdpmSchedule& schedule) {
  return std::make_unique<SingleStep>(config, schedule);
}

}  // namespace difftune::samplers
