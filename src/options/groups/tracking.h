// Curves of the run for TensorBoard and others.
#pragma once

#include <optional>
#include <string>

namespace difftune {

class OptionTable;

struct TrackingOptions {
  std::optional<std::string> logging_dir;
  std::optional<std::string> log_with;
  std::optional<std::string> log_prefix;
  std::optional<std::string> log_tracker_name;
  std::optional<std::string> log_tracker_config;
  bool log_config = false;
  std::optional<std::string> wandb_run_name;
  std::optional<std::string> wandb_api_key;
};

void describe(TrackingOptions& options, OptionTable& table);

}  // namespace difftune
