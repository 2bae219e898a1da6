// From the words of a command line to a filled options struct.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "options/option_table.h"

namespace difftune {

struct ReadResult {
  enum class Outcome {
    run,             // the fields are set
    help_wanted,     // -h or --help was given; nothing is set
    config_written,  // --output_config has written its file
  };
  Outcome outcome = Outcome::run;
  std::vector<Remark> remarks;
};

// Fills the fields of `table` from `words` (the command line behind the command's name) and from the file of
// --config_file, over which the command line wins. Throws UsageError for anything that is not an option, a value that
// does not fit, or an option that is not available yet; UserError where the config file cannot be read or written.
ReadResult read_options(OptionTable& table, std::span<const std::string> words);

// The options that are not at their default as lines of toml, in the order of declaration, without secrets and without
// what is about one call only. Reading the text back gives the same options.
std::string configuration_toml(const OptionTable& table);

}  // namespace difftune
