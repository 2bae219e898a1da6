// The commands that train a LoRA: `difftune train_network` and those of the other families (options/train_commands.h).
#pragma once

#include <span>
#include <string>

#include "options/train_commands.h"

namespace difftune {

// Run with the words behind the command's name. Throw UsageError and UserError.
int run_train_command(const TrainCommand& command, std::span<const std::string> words);

// The Markdown of docs/COMMAND.md.
std::string train_command_page(const TrainCommand& command);

}  // namespace difftune
