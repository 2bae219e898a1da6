// How long a run is, and where each number comes from.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace difftune {

struct RunPlan {
  int64_t batches_per_epoch = 0;
  int64_t steps_per_epoch = 0;  // optimizer steps; a short tail of batches is one
  int64_t num_steps = 0;
  int64_t num_epochs = 0;  // begun; the last one may be cut short
};

// `max_train_epochs`, where given, decides the number of steps (as in the reference); else `max_train_steps` does.
RunPlan plan_run(int64_t batches_per_epoch, int64_t accumulation, int64_t max_train_steps,
                 std::optional<int64_t> max_train_epochs);

// "10 steps of 1 batch (--max_train_steps 10): epoch 1 of 24 steps, cut short".
std::string describe(const RunPlan& plan, int64_t accumulation, std::optional<int64_t> max_train_epochs);

}  // namespace difftune
