// The optimizer and its step size.
#pragma once

#include <string>
#include <vector>

#include "options/number.h"

namespace difftune {

class OptionTable;

struct OptimizerOptions {
  std::string optimizer_type;
  std::vector<std::string> optimizer_args;
  bool use_8bit_adam = false;
  bool use_lion_optimizer = false;
  Number learning_rate = 2e-6;
  Number max_grad_norm = 1.0;
  bool fused_backward_pass = false;
};

// The optimizer that is meant (AdamW where none is named), spelled as in the list of available ones. Throws UsageError
// with that list for any other, and where two options name one.
std::string optimizer_name(const OptimizerOptions& options);

void describe(OptimizerOptions& options, OptionTable& table);

}  // namespace difftune
