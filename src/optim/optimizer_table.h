// Optimizers by name, as --optimizer_type and --optimizer_args give them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "optim/optimizer.h"

namespace difftune {

struct OptimizerConfig {
  std::string type = "AdamW";          // upper and lower case are the same; "" is AdamW
  std::vector<std::string> args = {};  // "NAME=VALUE", values are Python literals
  double learning_rate = 2e-6;         // that of --learning_rate; each group has its own beside it
};

// Throws UserError for an unknown type or argument (with the known ones) and for values out of range. An Adafactor with
// relative_step (its default) gives every group `learning_rate`, which is only logged, before its first step.
std::unique_ptr<Optimizer> make_optimizer(const OptimizerConfig& config, std::vector<ParamGroup> groups);

std::vector<std::string> optimizer_names();

}  // namespace difftune
