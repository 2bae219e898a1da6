// Learning-rate schedules: a factor for each optimizer step.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "optim/optimizer.h"

namespace difftune {

// A number of optimizer steps, or a part of the run.
using StepsOrRatio = std::variant<int64_t, double>;

// "100" is steps, "0.1" and "10%" are ratios, as in the reference's command line. `option` names it in errors.
StepsOrRatio parse_steps_or_ratio(std::string_view text, std::string_view option);
// Ratios are rounded down to whole steps of `num_steps`.
int64_t resolve_steps(const StepsOrRatio& value, int64_t num_steps);

// Names and meaning are those of the command line options.
struct LrScheduleConfig {
  std::string name = "constant";
  int64_t num_steps = 0;  // --max_train_steps times the number of processes
  StepsOrRatio warmup = int64_t{0};
  StepsOrRatio decay = int64_t{0};
  int64_t num_cycles = 1;
  double power = 1;
  std::optional<int64_t> timescale = std::nullopt;
  std::optional<double> min_lr_ratio = std::nullopt;
  double learning_rate = 2e-6;         // --learning_rate, which polynomial and min_lr are relative to
  std::vector<std::string> args = {};  // --lr_scheduler_args
};

// The factor of step 0, 1, 2, ...: step 0 is that of the first update, so with warm-up the first update has factor 0.
using LrSchedule = std::function<double(int64_t step)>;

// Throws UserError for an unknown name or argument (with the known ones) and settings that do not go with the schedule.
// Formulas: transformers.optimization 4.54, piecewise_constant: diffusers.optimization 0.32.
LrSchedule make_lr_schedule(const LrScheduleConfig& config);

std::vector<std::string> lr_schedule_names();

// Writes the learning rates of an optimizer's groups. An optimizer that sets its own is left alone.
class LrScheduler {
 public:
  // The groups' learning rates at this point are what the factors multiply; the factor of step 0 is applied at once.
  LrScheduler(LrSchedule schedule, Optimizer& optimizer);

  // After each optimizer step; `count` is the number of processes, as the reference counts.
  void step(int64_t count = 1) { restore(step_ + count); }
  int64_t current_step() const { return step_; }
  // Continues a saved run at its current_step().
  void restore(int64_t step);

 private:
  LrSchedule schedule_;
  Optimizer& optimizer_;
  std::vector<double> initial_lrs_;
  int64_t step_ = 0;
};

}  // namespace difftune
