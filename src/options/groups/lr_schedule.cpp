#include "options/groups/lr_schedule.h"

#include "options/option_table.h"

namespace difftune {

void describe(LrScheduleOptions& options, OptionTable& table) {
  table.group("Learning-rate schedule");
  table.add("lr_scheduler", &options.lr_scheduler,
            "Course of the learning rate: constant, constant_with_warmup, linear, cosine, cosine_with_restarts or "
            "polynomial.",
            {.metavar = "NAME"});
  table.add("lr_warmup_steps", &options.lr_warmup_steps,
            "Steps in which the rate rises from 0; below 1 or with % a share of the run.",
            {.unit = "steps", .minimum = 0, .count_or_share = true});
  table.add("lr_decay_steps", &options.lr_decay_steps,
            "Steps in which it falls at the end (warmup_stable_decay); below 1 or with % a share of the run.",
            {.unit = "steps", .minimum = 0, .count_or_share = true});
  table.add("lr_scheduler_num_cycles", &options.lr_scheduler_num_cycles, "Cycles of cosine_with_restarts.",
            {.minimum = 1});
  table.add("lr_scheduler_power", &options.lr_scheduler_power, "Power of polynomial.");
  table.add("lr_scheduler_timescale", &options.lr_scheduler_timescale,
            "Time scale of inverse_sqrt; the warm-up without it.", {.unit = "steps", .minimum = 1});
  table.add("lr_scheduler_min_lr_ratio", &options.lr_scheduler_min_lr_ratio,
            "Lowest rate of cosine_with_min_lr and warmup_stable_decay, as a share of the highest.",
            {.minimum = 0, .maximum = 1});
  table.add("lr_scheduler_type", &options.lr_scheduler_type, "A scheduler class of PyTorch or another package.",
            {.metavar = "CLASS"});
  table.add("lr_scheduler_args", &options.lr_scheduler_args, "Settings of that class, e.g. T_max=100.",
            {.metavar = "KEY=VALUE ..."});
}

}  // namespace difftune
