// Everything that a run needs to go on to the same bits, and its folder on disk.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/files.h"
#include "nn/random_state.h"
#include "optim/optimizer.h"
#include "train/loss_average.h"
#include "weights/tensor_source.h"

namespace difftune {

// Where a run stands. Plain numbers; tensors are beside it in RunSnapshot.
struct RunPosition {
  int64_t step = 0;                     // optimizer steps done
  int64_t epoch = 0;                    // 0-based number of the epoch in progress
  int64_t batches_done = 0;             // of that epoch
  int64_t num_batches = 0;              // of that epoch in all: another data set is noticed
  int64_t sampler_seed = 0;             // of that epoch
  std::vector<uint32_t> python_random;  // PythonRandom::state() before that epoch was planned
  LossAverage::State losses;
  int64_t seed = 0;
};

struct RunSnapshot {
  RunPosition position;
  std::vector<NamedTensor> parameters;
  OptimizerState optimizer;
  OptimizerState grad_scaler;  // empty without loss scaling
  nn::RandomState random;
};

// Writes the folder as a whole: a crash leaves the old one or the new one. model.safetensors and train_state.json are
// those of the reference; the rest is difftune's own.
void save_run_state(const fs::path& folder, const RunSnapshot& snapshot);

// Throws UserError that names the file where the folder is no state, not complete, or was written by the reference.
RunSnapshot load_run_state(const fs::path& folder);

}  // namespace difftune
