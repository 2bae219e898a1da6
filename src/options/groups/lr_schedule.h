// How the learning rate changes during the run.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "options/number.h"

namespace difftune {

class OptionTable;

struct LrScheduleOptions {
  std::string lr_scheduler = "constant";
  Number lr_warmup_steps = 0;
  Number lr_decay_steps = 0;
  int64_t lr_scheduler_num_cycles = 1;
  Number lr_scheduler_power = 1;
  std::optional<int64_t> lr_scheduler_timescale;
  std::optional<Number> lr_scheduler_min_lr_ratio;
  std::string lr_scheduler_type;
  std::vector<std::string> lr_scheduler_args;
};

void describe(LrScheduleOptions& options, OptionTable& table);

}  // namespace difftune
