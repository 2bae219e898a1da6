// `difftune train_network` from its options to the saved LoRA.
#pragma once

#include "options/train_network_options.h"

namespace difftune {

// Throws UserError. Returns the exit code: 0, or 130 where the user stopped the run and it was saved.
int train_lora(const TrainNetworkOptions& options);

}  // namespace difftune
