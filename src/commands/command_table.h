// The commands of the program, and how the words behind `difftune` reach them.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace difftune {

struct Command {
  std::string_view name;     // as typed, and the name of the reference's script without ".py"
  std::string_view summary;  // one sentence
  // Runs with the words behind the command's name and returns the exit code. Throws UsageError for a bad command line,
  // UserError for bad input.
  int (*run)(std::span<const std::string> words);
  // The Markdown of docs/NAME.md; null for a command without options.
  std::string (*page)();
};

std::span<const Command> command_table();

// Runs what `words` (argv without the program's name) ask for and returns the exit code: a command, also spelled as the
// reference's script ("train_network.py", with or without folders), --help or --version. Throws UsageError for
// anything else, with the nearest command, and what the command throws.
int run_command_line(std::span<const std::string> words, std::string_view version);

}  // namespace difftune
