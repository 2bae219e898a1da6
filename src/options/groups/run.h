// About this call of the program, and where its options come from.
#pragma once

#include <optional>
#include <string>

namespace difftune {

class OptionTable;

struct RunOptions {
  std::optional<std::string> config_file;
  bool output_config = false;
  bool dry_run = false;
  bool reference_quirks = false;
};

void describe(RunOptions& options, OptionTable& table);

}  // namespace difftune
