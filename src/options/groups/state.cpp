#include "options/groups/state.h"

#include "options/option_table.h"

namespace difftune {

void describe(StateOptions& options, OptionTable& table) {
  table.group("State and resuming");
  table.add("save_state", &options.save_state,
            "Save the optimizer and the random generators too, whenever weights are saved.");
  table.add("save_state_on_train_end", &options.save_state_on_train_end, "Save them at the end of the run.");
  table.add("save_last_n_epochs_state", &options.save_last_n_epochs_state, "--save_last_n_epochs for states.",
            {.unit = "epochs", .minimum = 1});
  table.add("save_last_n_steps_state", &options.save_last_n_steps_state, "--save_last_n_steps for states.",
            {.unit = "steps", .minimum = 1});
  table.add("resume", &options.resume, "Go on from a saved state folder.", {.metavar = "DIR"});
  table.add("initial_epoch", &options.initial_epoch, "Epoch to begin with, counted from 1.", {.minimum = 1});
  table.add("initial_step", &options.initial_step,
            "Step to begin after; wins over --initial_epoch and the state's own step.", {.minimum = 0});
  table.add("skip_until_initial_step", &options.skip_until_initial_step,
            "Pass over the data of the steps before that one, so that the rest of the run sees the same data.");
}

}  // namespace difftune
