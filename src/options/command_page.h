// What --help prints and what docs/COMMAND.md says, made from a command's options.
#pragma once

#include <string>

#include "options/option_table.h"

namespace difftune {

struct CommandPage {
  std::string name;     // "train_network"
  std::string summary;  // one sentence
  std::string example;  // a command line that a user can adapt
};

// The text of `difftune NAME --help`, with lines of at most `width` columns.
std::string help_text(const CommandPage& page, const OptionTable& table, int width);
// The Markdown of docs/NAME.md.
std::string markdown_page(const CommandPage& page, const OptionTable& table);

// Columns of the terminal (COLUMNS, or what stdout says), 80 where there is none; within 60 and 120.
int terminal_width();

}  // namespace difftune
