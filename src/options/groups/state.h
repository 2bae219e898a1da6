// Saving everything that a run needs to go on, and going on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace difftune {

class OptionTable;

struct StateOptions {
  bool save_state = false;
  bool save_state_on_train_end = false;
  std::optional<int64_t> save_last_n_epochs_state;
  std::optional<int64_t> save_last_n_steps_state;
  std::optional<std::string> resume;
  std::optional<int64_t> initial_epoch;
  std::optional<int64_t> initial_step;
  bool skip_until_initial_step = false;
};

void describe(StateOptions& options, OptionTable& table);

}  // namespace difftune
