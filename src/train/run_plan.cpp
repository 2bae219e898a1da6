#include "train/run_plan.h"

#include <fmt/format.h>

#include "base/error.h"

namespace difftune {
namespace {

int64_t ceil_divide(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

RunPlan plan_run(int64_t batches_per_epoch, int64_t accumulation, int64_t max_train_steps,
                 std::optional<int64_t> max_train_epochs) {
  DT_CHECK(batches_per_epoch > 0 && accumulation > 0);
  RunPlan plan;
  plan.batches_per_epoch = batches_per_epoch;
  plan.steps_per_epoch = ceil_divide(batches_per_epoch, accumulation);
  plan.num_steps = max_train_epochs ? *max_train_epochs * plan.steps_per_epoch : max_train_steps;
  plan.num_epochs = ceil_divide(plan.num_steps, plan.steps_per_epoch);
  return plan;
}

std::string describe(const RunPlan& plan, int64_t accumulation, std::optional<int64_t> max_train_epochs) {
  const std::string origin = max_train_epochs ? fmt::format("--max_train_epochs {}", *max_train_epochs)
                                              : fmt::format("--max_train_steps {}", plan.num_steps);
  const bool is_cut = plan.num_steps % plan.steps_per_epoch != 0;
  return fmt::format("{} steps ({}), {} batch{} each; {} epoch{} of {} steps{}", plan.num_steps, origin, accumulation,
                     accumulation == 1 ? "" : "es", plan.num_epochs, plan.num_epochs == 1 ? "" : "s",
                     plan.steps_per_epoch, is_cut ? ", the last one cut short" : "");
}

}  // namespace difftune
