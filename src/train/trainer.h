// The training loop. There is one, for every model family and everything that can be trained: what differs is behind
// Task (batch → loss) and Listener (what watches).
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/python_random.h"
#include "data/dataset_group.h"
#include "optim/grad_scaler.h"
#include "optim/lr_scheduler.h"
#include "optim/optimizer.h"
#include "train/listener.h"
#include "train/loss_average.h"
#include "train/run_state.h"
#include "train/task.h"

namespace difftune {

struct TrainerConfig {
  int64_t max_steps = 0;
  int64_t num_epochs = 0;
  int64_t accumulation = 1;  // batches per step
  double max_grad_norm = 1;  // 0: no clipping
  int num_loader_threads = 1;
  bool scales_loss = false;  // fp16 on a GPU
  c10::Device device = c10::kCPU;
  int64_t seed = 0;
};

class Trainer {
 public:
  // All must outlive the trainer. `random` is the run's Python generator; tensors' numbers come from LibTorch's default
  // generators.
  Trainer(const TrainerConfig& config, DatasetGroup& data, Task& task, Optimizer& optimizer, LrSchedule schedule,
          PythonRandom& random);

  void add_listener(Listener& listener) { listeners_.push_back(&listener); }

  // Goes on where `snapshot` was taken.
  void restore(const RunSnapshot& snapshot);
  // The state now. Valid at the end of a step and of an epoch: no gradient is pending there.
  RunSnapshot snapshot() const;

  // Trains to the end, or until `should_stop` says so at the end of a step. Throws UserError when the loss is not
  // finite kMaxNonFinite times in a row.
  void run(const std::function<bool()>& should_stop);

  int64_t step() const { return position_.step; }
  bool is_interrupted() const { return is_interrupted_; }

  static constexpr int kMaxNonFinite = 3;

 private:
  std::vector<BatchPlan> begin_epoch();
  void run_epoch(const std::function<bool()>& should_stop);
  // Loss and gradient of one batch.
  double backward(const Batch& batch, const BatchPlan& plan);
  void optimizer_step();
  void check_finite(double loss, const Batch& batch);
  BatchReport report(double loss, bool is_step_end, std::map<std::string, double> values) const;

  TrainerConfig config_;
  DatasetGroup& data_;
  Task& task_;
  Optimizer& optimizer_;
  LrScheduler scheduler_;
  PythonRandom& random_;
  std::optional<GradScaler> grad_scaler_;
  std::vector<Listener*> listeners_;
  std::vector<at::Tensor> clipped_;

  RunPosition position_;
  LossAverage losses_;
  bool continues_epoch_ = false;
  bool is_interrupted_ = false;
  int num_non_finite_ = 0;
};

}  // namespace difftune
