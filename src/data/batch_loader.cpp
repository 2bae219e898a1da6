#include "data/batch_loader.h"

#include <algorithm>

#include "base/error.h"
#include "base/prefetcher.h"

namespace difftune {

struct BatchLoader::Impl {
  Impl(const DatasetGroup& group, std::vector<BatchPlan> plans_in, size_t num_threads, size_t first, size_t num_ahead)
      : plans(std::move(plans_in)),
        num_taken(std::min(first, plans.size())),
        batches(
            num_taken, plans.size(), [this, &group](size_t i) { return group.load(plans[i]); }, num_threads,
            num_ahead) {}

  const std::vector<BatchPlan> plans;
  size_t num_taken;
  Prefetcher<Batch> batches;  // last: its threads end before what they read
};

BatchLoader::BatchLoader(const DatasetGroup& group, std::vector<BatchPlan> plans, int num_threads, size_t first,
                         size_t num_ahead) {
  const auto threads = static_cast<size_t>(std::max(num_threads, 1));
  impl_ = std::make_unique<Impl>(group, std::move(plans), threads, first, num_ahead ? num_ahead : 2 * threads);
}

BatchLoader::~BatchLoader() = default;

std::optional<Batch> BatchLoader::next() {
  auto batch = impl_->batches.next();
  if (batch) ++impl_->num_taken;
  return batch;
}

const BatchPlan& BatchLoader::plan() const {
  DT_CHECK(impl_->num_taken > 0);
  return impl_->plans[impl_->num_taken - 1];
}

}  // namespace difftune
