// DatasetGroup::log_summary: what the user should see before a long run.

#include <algorithm>
#include <map>

#include "base/log.h"
#include "data/captions.h"
#include "data/dataset_group.h"

namespace difftune {
namespace {

struct BucketRow {
  int64_t images = 0, with_repeats = 0, enlarged = 0, cropped = 0;
};

// Images of which less than this much is cut off do not count as cropped: few images fit a bucket exactly.
constexpr double kNoticeableCrop = 0.02;

std::map<SizePx, BucketRow> bucket_rows(const Dataset& dataset) {
  std::map<SizePx, BucketRow> rows;
  for (const auto& image : dataset.images) {
    BucketRow& row = rows[image.bucket];
    ++row.images;
    row.with_repeats += image.num_repeats;
    row.enlarged += image.resized.width > image.size.width || image.resized.height > image.size.height;
    const double kept = static_cast<double>(image.bucket.area()) / static_cast<double>(image.resized.area());
    row.cropped += kept < 1 - kNoticeableCrop;
  }
  return rows;
}

void log_buckets(const Dataset& dataset) {
  log::info("  {:>11} {:>8} {:>13} {:>8} {:>9} {:>11}", "bucket", "images", "with repeats", "batches", "enlarged",
            "cropped >2%");
  const int64_t batch_size = dataset.config.batch_size;
  for (const auto& [bucket, row] : bucket_rows(dataset)) {
    log::info("  {:>11} {:>8} {:>13} {:>8} {:>9} {:>11}", to_string(bucket), row.images, row.with_repeats,
              (row.with_repeats + batch_size - 1) / batch_size, row.enlarged, row.cropped);
  }
}

// Captions as they are trained on, drawn with a generator of their own.
void log_captions(const Dataset& dataset, size_t max_shown) {
  PythonRandom random(0);
  const size_t step = std::max<size_t>(1, dataset.images.size() / max_shown);
  for (size_t i = 0; i < dataset.images.size() && i / step < max_shown; i += step) {
    const auto& image = dataset.images[i];
    const auto caption = process_caption(image.caption, dataset.subset_of(image), {1, 1'000'000'000, 0}, random);
    log::info("  {}: \"{}\"", image.path, caption);
  }
}

}  // namespace

void DatasetGroup::log_summary() const {
  for (size_t d = 0; d < datasets_.size(); ++d) {
    const Dataset& dataset = datasets_[d];
    const auto& config = dataset.config;
    log::info(
        "dataset {}: resolution {}, batch size {}, {}, {} training images and {} regularisation images with repeats",
        d + 1, to_string(config.resolution), config.batch_size, config.enable_bucket ? "buckets" : "one size",
        dataset.num_train_images, dataset.num_reg_images);
    for (const auto& subset : dataset.subsets) {
      log::info("  {}: {} images, repeated {} times{}", subset.config.image_dir, subset.img_count,
                subset.config.num_repeats, subset.config.is_reg ? ", regularisation" : "");
    }
    log_buckets(dataset);
    log_captions(dataset, 3);
  }
  log::info("{} batches per epoch", num_batches_);
}

}  // namespace difftune
