// What is printed while a command runs.
#pragma once

#include <optional>
#include <string>

namespace difftune {

class OptionTable;

struct ConsoleOptions {
  std::optional<std::string> console_log_level;
  std::optional<std::string> console_log_file;
  bool console_log_simple = false;
};

void describe(ConsoleOptions& options, OptionTable& table);

}  // namespace difftune
