#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "optim/adamw.h"
#include "optim/grad_clip.h"
#include "tiny_sd/train_parts.h"

namespace difftune::tiny {
namespace {

constexpr double kAverageDecay = 0.998;
constexpr double kMaxGradNorm = 1.0;

}  // namespace

AveragedAdamW::AveragedAdamW(std::vector<at::Tensor> parameters, const TrainSettings& settings)
    : parameters_(std::move(parameters)), settings_(settings) {
  for (auto& parameter : parameters_) {
    averages_.push_back(parameter.detach().clone());
    parameter.requires_grad_(true);
  }
  AdamWConfig config;
  config.weight_decay = 1e-4;
  config.beta2 = 0.99;
  optimizer_ = std::make_unique<AdamW>(std::vector<ParamGroup>{{"all", parameters_, settings.learning_rate}}, config);
  LrScheduleConfig schedule;
  schedule.name = settings.schedule;
  schedule.num_steps = settings.num_steps;
  schedule.warmup = std::min<int64_t>(100, settings.num_steps / 10);
  scheduler_ = std::make_unique<LrScheduler>(make_lr_schedule(schedule), *optimizer_);
}

void AveragedAdamW::step(const at::Tensor& loss) {
  loss.backward();
  clip_grad_norm(parameters_, kMaxGradNorm);
  optimizer_->step();
  scheduler_->step();
  optimizer_->zero_grad();
  ++num_steps_;
  const at::NoGradGuard no_grad;
  const auto n = static_cast<double>(num_steps_);
  const double decay = std::min(kAverageDecay, (1 + n) / (10 + n));
  for (size_t i = 0; i < parameters_.size(); ++i) averages_[i].lerp_(parameters_[i], 1 - decay);
  if (num_steps_ % settings_.save_every == 0) save();
}

void AveragedAdamW::save() {
  std::vector<at::Tensor> kept;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    kept.push_back(parameters_[i].detach().clone());
    parameters_[i].copy_(averages_[i]);
  }
  settings_.save();
  for (size_t i = 0; i < parameters_.size(); ++i) parameters_[i].copy_(kept[i]);
}

void AveragedAdamW::finish() {
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    parameters_[i].requires_grad_(false);
    parameters_[i].copy_(averages_[i]);
  }
}

}  // namespace difftune::tiny
