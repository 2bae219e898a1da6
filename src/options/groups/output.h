// Which weights are saved, when, and as what.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace difftune {

class OptionTable;

struct OutputOptions {
  std::string output_dir;
  std::optional<std::string> output_name;
  std::optional<std::string> save_precision;
  std::string save_model_as = "safetensors";
  std::optional<int64_t> save_every_n_epochs;
  std::optional<int64_t> save_every_n_steps;
  std::optional<int64_t> save_n_epoch_ratio;
  std::optional<int64_t> save_last_n_epochs;
  std::optional<int64_t> save_last_n_steps;
};

void describe(OutputOptions& options, OptionTable& table);

}  // namespace difftune
