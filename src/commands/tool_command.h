// What the commands over files of weights have in common.
#pragma once

#include <span>
#include <string>

#include "options/command_page.h"
#include "options/option_table.h"

namespace difftune {

// Fills the table's fields from the words, or prints the help and returns false. Throws UsageError for a bad command
// line, also where a required option is missing.
bool read_tool_options(const CommandPage& page, OptionTable& table, std::span<const std::string> words);

// Declares --dry_run. `effect` ends the sentence "Check the input, print ... and stop."
void describe_dry_run(bool& dry_run, OptionTable& table);

}  // namespace difftune
