#include "train/trainer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <fmt/ranges.h>

#include <cmath>

#include "base/error.h"
#include "base/log.h"
#include "data/batch_loader.h"
#include "optim/grad_clip.h"

namespace difftune {
namespace {

// One int64 of the default CPU generator, as the reference's data loader draws its seeds.
int64_t draw_int64() { return at::empty({}, at::kLong).random_().item<int64_t>(); }

}  // namespace

Trainer::Trainer(const TrainerConfig& config, DatasetGroup& data, Task& task, Optimizer& optimizer, LrSchedule schedule,
                 PythonRandom& random)
    : config_(config),
      data_(data),
      task_(task),
      optimizer_(optimizer),
      scheduler_(std::move(schedule), optimizer),
      random_(random),
      clipped_(task.clipped_parameters()) {
  if (config_.scales_loss) grad_scaler_.emplace(config_.device);
  position_.seed = config_.seed;
}

void Trainer::restore(const RunSnapshot& snapshot) {
  task_.load(MemorySource(snapshot.parameters, {}, "--resume"));
  optimizer_.load_state(snapshot.optimizer, "--resume");
  if (grad_scaler_ && !snapshot.grad_scaler.empty()) grad_scaler_->load_state(snapshot.grad_scaler, "--resume");
  scheduler_.restore(snapshot.position.step);
  snapshot.random.restore();
  position_ = snapshot.position;
  losses_.set_state(position_.losses);
  // A state from the end of an epoch goes on with an epoch whose order is still to be drawn.
  continues_epoch_ = position_.batches_done > 0;
  if (!continues_epoch_) random_.set_state(position_.python_random);
  if (continues_epoch_ && position_.num_batches != data_.num_batches_per_epoch()) {
    log::warning("--resume: the state was saved with {} batches per epoch, the data now give {}: epoch {} begins anew",
                 position_.num_batches, data_.num_batches_per_epoch(), position_.epoch + 1);
    random_.set_state(position_.python_random);
    continues_epoch_ = false;
  }
}

RunSnapshot Trainer::snapshot() const {
  RunSnapshot snapshot;
  snapshot.position = position_;
  snapshot.position.losses = losses_.state();
  snapshot.parameters = task_.parameters();
  snapshot.optimizer = optimizer_.state();
  if (grad_scaler_) snapshot.grad_scaler = grad_scaler_->state();
  snapshot.random = nn::RandomState::capture();
  return snapshot;
}

void Trainer::run(const std::function<bool()>& should_stop) {
  task_.set_training(true);
  for (Listener* listener : listeners_) listener->on_start(position_.step);
  while (position_.epoch < config_.num_epochs && position_.step < config_.max_steps && !is_interrupted_) {
    run_epoch(should_stop);
  }
  for (Listener* listener : listeners_) {
    listener->on_end(position_.step, is_interrupted_ ? position_.epoch : config_.num_epochs, is_interrupted_);
  }
}

std::vector<BatchPlan> Trainer::begin_epoch() {
  if (continues_epoch_) {
    random_.set_state(position_.python_random);
    continues_epoch_ = false;
  } else {
    draw_int64();  // the seed of the reference's loader workers, which nothing uses
    position_.sampler_seed = draw_int64();
    position_.python_random = random_.state();
    position_.batches_done = 0;
  }
  EpochContext context;
  context.max_train_steps = config_.max_steps;
  context.gradient_accumulation_steps = static_cast<int>(config_.accumulation);
  context.step_draws = [this](BatchPlan& plan, PythonRandom& random) {
    task_.draw_ahead(plan, [&] {
      plan.step_draws.push_back(random.random());
      return plan.step_draws.back();
    });
  };
  auto plans = data_.plan_epoch(position_.epoch, position_.sampler_seed, random_, context);
  position_.num_batches = static_cast<int64_t>(plans.size());
  return plans;
}

void Trainer::run_epoch(const std::function<bool()>& should_stop) {
  auto plans = begin_epoch();
  BatchLoader loader(data_, std::move(plans), config_.num_loader_threads, static_cast<size_t>(position_.batches_done));
  int64_t batches_in_step = 0;
  while (position_.step < config_.max_steps) {
    const auto batch = loader.next();
    if (!batch) break;
    const double loss = backward(*batch, loader.plan());
    check_finite(loss, *batch);
    ++position_.batches_done;
    // A step also ends with the epoch; its gradient is still divided by the full number of batches, as in the
    // reference.
    const bool is_step_end =
        ++batches_in_step == config_.accumulation || position_.batches_done == position_.num_batches;
    if (is_step_end) {
      optimizer_step();
      batches_in_step = 0;
    }
    auto values = task_.after_batch();
    losses_.add(position_.epoch, position_.batches_done - 1, loss);
    if (is_step_end) {
      ++position_.step;
      for (Listener* listener : listeners_) listener->on_step(position_.step, position_.epoch);
    }
    const BatchReport made = report(loss, is_step_end, std::move(values));
    for (Listener* listener : listeners_) listener->on_batch(made);
    if (is_step_end && position_.step < config_.max_steps && should_stop()) {
      is_interrupted_ = true;
      return;
    }
  }
  ++position_.epoch;
  position_.batches_done = 0;
  position_.python_random = random_.state();
  // From here a state continues with a new epoch: its order is not drawn yet.
  const EpochReport ended{position_.step, position_.epoch - 1, config_.num_epochs, losses_.average()};
  for (Listener* listener : listeners_) listener->on_epoch_end(ended);
}

double Trainer::backward(const Batch& batch, const BatchPlan& plan) {
  size_t next_draw = 0;
  const RandomSources sources{nn::default_generator(config_.device), nn::default_generator(c10::kCPU), [&] {
                                DT_CHECK(next_draw < plan.step_draws.size());
                                return plan.step_draws[next_draw++];
                              }};
  const at::Tensor loss = task_.loss(batch, sources);
  const at::Tensor scaled = config_.accumulation > 1 ? loss / static_cast<double>(config_.accumulation) : loss;
  (grad_scaler_ ? grad_scaler_->scale(scaled) : scaled).backward();
  return loss.item<double>();
}

void Trainer::optimizer_step() {
  bool is_finite = num_non_finite_ == 0;
  if (grad_scaler_) is_finite = grad_scaler_->unscale(clipped_) && is_finite;
  if (is_finite) {
    if (config_.max_grad_norm > 0) clip_grad_norm(clipped_, config_.max_grad_norm);
    task_.before_step();
    optimizer_.step();
    scheduler_.step();
  }
  if (grad_scaler_) grad_scaler_->update();
  optimizer_.zero_grad();
}

void Trainer::check_finite(double loss, const Batch& batch) {
  if (std::isfinite(loss)) {
    num_non_finite_ = 0;
    return;
  }
  const auto files = fmt::format("{}", fmt::join(batch.files, ", "));
  if (++num_non_finite_ >= kMaxNonFinite) {
    fail(
        "step {}: the loss was not finite {} times in a row (last: {}); training stops, nothing of it was saved. Lower "
        "--learning_rate, or use bf16 or fp32 (--mixed_precision)",
        position_.step + 1, num_non_finite_, files);
  }
  log::warning("step {}: the loss is not finite for {}; this step does not change the weights", position_.step + 1,
               files);
}

BatchReport Trainer::report(double loss, bool is_step_end, std::map<std::string, double> values) const {
  BatchReport report{position_.step, position_.epoch, is_step_end, loss, losses_.average(), {}, std::move(values)};
  for (size_t i = 0; i < optimizer_.groups().size(); ++i) {
    report.learning_rates.emplace_back(optimizer_.groups()[i].name, optimizer_.effective_lr(i));
  }
  if (const auto d = optimizer_.estimated_step_size()) {
    for (const auto& [name, lr] : report.learning_rates) report.values["lr/d*lr/" + name] = *d * lr;
  }
  return report;
}

}  // namespace difftune
