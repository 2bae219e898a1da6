#include "data/dataset.h"

#include <algorithm>

#include "base/error.h"

namespace difftune {

void BucketOrder::shuffle(PythonRandom& random) {
  random.shuffle(batches);
  for (auto& bucket : buckets) random.shuffle(bucket);
}

const std::optional<std::string>& Dataset::interpolation_of(const ImageRecord& image) const {
  const auto& own = subset_of(image).resize_interpolation;
  return own ? own : config.resize_interpolation;
}

BucketOrder Dataset::unshuffled_order() const {
  BucketOrder order;
  order.buckets.resize(bucket_resolutions.size());
  for (uint32_t i = 0; i < images.size(); ++i) {
    const auto at = std::lower_bound(bucket_resolutions.begin(), bucket_resolutions.end(), images[i].bucket);
    DT_CHECK(at != bucket_resolutions.end() && *at == images[i].bucket);
    auto& bucket = order.buckets[static_cast<size_t>(at - bucket_resolutions.begin())];
    bucket.insert(bucket.end(), static_cast<size_t>(images[i].num_repeats), i);
  }
  const auto batch_size = static_cast<size_t>(config.batch_size);
  for (uint32_t b = 0; b < order.buckets.size(); ++b) {
    const size_t num_batches = (order.buckets[b].size() + batch_size - 1) / batch_size;
    for (uint32_t i = 0; i < num_batches; ++i) order.batches.emplace_back(b, i);
  }
  return order;
}

}  // namespace difftune
