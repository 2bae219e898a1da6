// Loads planned batches ahead of the training step, on threads of its own.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "data/dataset_group.h"

namespace difftune {

class BatchLoader {
 public:
  // Loads `plans` from number `first` on with `num_threads` threads (at least one), at most `num_ahead` batches ahead
  // of next() (0: two per thread). `group` must outlive the loader.
  BatchLoader(const DatasetGroup& group, std::vector<BatchPlan> plans, int num_threads, size_t first = 0,
              size_t num_ahead = 0);
  ~BatchLoader();
  BatchLoader(const BatchLoader&) = delete;
  BatchLoader& operator=(const BatchLoader&) = delete;

  // The next batch in the plans' order; nullopt after the last. Throws what loading that batch threw.
  std::optional<Batch> next();
  // The plan of the batch that next() gave last.
  const BatchPlan& plan() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace difftune
