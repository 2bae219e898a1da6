// Which files and folders a run saves, when, and which older ones it removes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/files.h"
#include "options/groups/output.h"
#include "options/groups/state.h"

namespace difftune {

// Epochs and steps count from 1. Paths are below --output_dir. An "outdated" file or folder is the one that a save at
// this epoch or step replaces under --save_last_n_*; it need not exist.
class OutputNames {
 public:
  // `num_epochs` of the whole run turn --save_n_epoch_ratio into epochs between saves.
  OutputNames(const OutputOptions& output, const StateOptions& state, int64_t num_epochs);

  // Whether weights are saved at the end of this epoch; the last epoch's are those of the end of the run.
  bool saves_epoch(int64_t epoch) const;
  bool saves_step(int64_t step) const;
  // Whether the state of the run is saved beside the weights, and at the end of the run.
  bool saves_states() const { return state_.save_state; }
  bool saves_last_state() const { return state_.save_state || state_.save_state_on_train_end; }

  // "cat-000002.safetensors", "cat-step00000100.safetensors", "cat.safetensors"; without --output_name "cat" is
  // "epoch", "at" and "last".
  fs::path epoch_file(int64_t epoch) const;
  fs::path step_file(int64_t step) const;
  fs::path last_file() const;
  // "cat-000002-state", "cat-step00000100-state", "cat-state".
  fs::path epoch_state(int64_t epoch) const;
  fs::path step_state(int64_t step) const;
  fs::path last_state() const;

  std::optional<fs::path> outdated_epoch_file(int64_t epoch) const;
  std::optional<fs::path> outdated_step_file(int64_t step) const;
  // --save_last_n_epochs_state and --save_last_n_steps_state win over those for weights.
  std::optional<fs::path> outdated_epoch_state(int64_t epoch) const;
  std::optional<fs::path> outdated_step_state(int64_t step) const;

 private:
  fs::path in_folder(const char* fallback_name, const std::string& rest) const;

  OutputOptions output_;
  StateOptions state_;
  int64_t num_epochs_;
  std::optional<int64_t> epochs_between_saves_;
};

}  // namespace difftune
