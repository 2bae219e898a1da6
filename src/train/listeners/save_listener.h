// Saves weights and states when the options say so, and removes the ones they replace.
#pragma once

#include <functional>

#include "train/listener.h"
#include "train/output_names.h"
#include "train/run_state.h"

namespace difftune {

class SaveListener : public Listener {
 public:
  // Writes the weights to a file; `epoch` is what its metadata say.
  using SaveWeights = std::function<void(const fs::path& file, int64_t step, int64_t epoch)>;
  using TakeSnapshot = std::function<RunSnapshot()>;

  SaveListener(OutputNames names, SaveWeights save_weights, TakeSnapshot take_snapshot)
      : names_(std::move(names)), save_weights_(std::move(save_weights)), take_snapshot_(std::move(take_snapshot)) {}

  void on_step(int64_t step, int64_t epoch) override;
  void on_epoch_end(const EpochReport& report) override;
  // Saves what the run ends with; an interrupted run's weights and state have the step in their names.
  void on_end(int64_t step, int64_t num_epochs, bool is_interrupted) override;

 private:
  void save_weights(const fs::path& file, int64_t step, int64_t epoch) const;
  void save_state(const fs::path& folder) const;

  OutputNames names_;
  SaveWeights save_weights_;
  TakeSnapshot take_snapshot_;
};

}  // namespace difftune
