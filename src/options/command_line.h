// The words of a command line, read by the rules of Python's argparse.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "options/assignment.h"
#include "options/option_table.h"

namespace difftune {

struct CommandLine {
  bool help_wanted = false;
  std::vector<Assignment> assignments;  // in the order of the words; the last one for an option counts
};

// `--name value`, `--name=value`, an unambiguous beginning of a name, several words for a list, negative numbers as
// values; words that belong to no option go to the positional ones. Throws UsageError for anything else, with the
// nearest name of a misspelled option.
CommandLine parse_command_line(const OptionTable& table, std::span<const std::string> words);

}  // namespace difftune
