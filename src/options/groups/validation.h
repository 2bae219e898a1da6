// The loss on images that are kept out of training.
#pragma once

#include <cstdint>
#include <optional>

#include "options/number.h"

namespace difftune {

class OptionTable;

struct ValidationOptions {
  Number validation_split = 0.0;
  std::optional<int64_t> validation_seed;
  std::optional<int64_t> validate_every_n_steps;
  std::optional<int64_t> validate_every_n_epochs;
  std::optional<int64_t> max_validation_steps;
};

void describe(ValidationOptions& options, OptionTable& table);

}  // namespace difftune
