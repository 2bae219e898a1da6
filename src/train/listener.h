// What watches a run: logs, samples, saves. Listeners do not change the training.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "train/run_state.h"

namespace difftune {

// One batch is done; with accumulation several batches make a step.
struct BatchReport {
  int64_t step = 0;          // optimizer steps done so far
  int64_t epoch = 0;         // 0-based
  bool is_step_end = false;  // the optimizer has stepped on this batch
  double loss = 0;
  double average_loss = 0;
  std::vector<std::pair<std::string, double>> learning_rates;  // by parameter group: of the next step
  std::map<std::string, double> values;                        // others to log, by tag
};

struct EpochReport {
  int64_t step = 0;
  int64_t epoch = 0;  // 0-based number of the epoch that ended
  int64_t num_epochs = 0;
  double average_loss = 0;
};

class Listener {
 public:
  virtual ~Listener() = default;
  virtual void on_start(int64_t step) {}
  // After the optimizer's step and before on_batch of the same batch.
  virtual void on_step(int64_t step, int64_t epoch) {}
  virtual void on_batch(const BatchReport& report) {}
  virtual void on_epoch_end(const EpochReport& report) {}
  // The run is over: complete, or stopped by the user after `step`. `num_epochs` were finished.
  virtual void on_end(int64_t step, int64_t num_epochs, bool is_interrupted) {}
};

}  // namespace difftune
