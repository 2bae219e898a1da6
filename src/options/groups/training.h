// How long the run is and what it repeats exactly.
#pragma once

#include <cstdint>
#include <optional>

namespace difftune {

class OptionTable;

struct TrainingOptions {
  int64_t max_train_steps = 1600;
  std::optional<int64_t> max_train_epochs;
  std::optional<int64_t> seed;
  int64_t gradient_accumulation_steps = 1;
};

void describe(TrainingOptions& options, OptionTable& table);

}  // namespace difftune
