#include "options/groups/tracking.h"

#include "options/option_table.h"

namespace difftune {

void describe(TrackingOptions& options, OptionTable& table) {
  table.group("Curves (TensorBoard)");
  table.add("logging_dir", &options.logging_dir, "Write curves for TensorBoard into a new folder below this one.",
            {.metavar = "DIR"});
  table.add("log_with", &options.log_with, "Where curves go; tensorboard where --logging_dir is set.",
            {.choices = {"tensorboard", "wandb", "all"}});
  table.add("log_prefix", &options.log_prefix, "Beginning of that folder's name, before the time.");
  table.add("log_tracker_name", &options.log_tracker_name, "Name of the folder inside it; network_train without it.",
            {.metavar = "NAME"});
  table.add("log_tracker_config", &options.log_tracker_config, "A .toml file with settings of the tracker.",
            {.metavar = "FILE"});
  table.add("log_config", &options.log_config, "Write the options, without paths and secrets, beside the curves.");
  table.add("wandb_run_name", &options.wandb_run_name, "Name of the run at Weights & Biases.", {.metavar = "NAME"});
  table.add("wandb_api_key", &options.wandb_api_key, "Key for Weights & Biases.", {.metavar = "KEY", .secret = true});
}

}  // namespace difftune
