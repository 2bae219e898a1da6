// `difftune train_network` from its options to the saved LoRA.
#pragma once

#include <string>

#include "options/train_network_options.h"

namespace difftune {

// The options of a run as text.
struct OptionTexts {
  std::string toml;   // what is not at its default; saved beside the LoRA
  std::string table;  // all of them in Markdown, for --log_config
};

// Throws UserError. Returns the exit code: 0, or 130 where the user stopped the run and it was saved.
int train_lora(const TrainNetworkOptions& options, const TrainCommand& command, const OptionTexts& texts);

}  // namespace difftune
