#include "options/groups/console.h"

#include "options/option_table.h"

namespace difftune {

void describe(ConsoleOptions& options, OptionTable& table) {
  table.group("Console");
  table.add("console_log_level", &options.console_log_level, "Least important lines that are printed; INFO without it.",
            {.choices = {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}});
  table.add("console_log_file", &options.console_log_file, "Write the lines to this file too.", {.metavar = "FILE"});
  table.add("console_log_simple", &options.console_log_simple, "Print lines without time and level.");
}

}  // namespace difftune
