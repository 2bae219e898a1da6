// One dataset: its images with captions and sizes, sorted into buckets.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/python_random.h"
#include "data/buckets.h"
#include "data/cache_formats.h"
#include "data/dataset_config.h"

namespace difftune {

// Cached latents of an image: in memory, or where they lie on disk.
struct CachedLatents {
  std::string npz_file;        // empty: in memory
  at::Tensor latents;          // [C, h, w], unscaled
  at::Tensor latents_flipped;  // of the mirrored image; undefined without flip_aug
  at::Tensor alpha_mask;       // [H, W] float32 in [0, 1]; undefined without alpha_mask
  SizePx original_size;
  CropBox crop;
};

// Cached outputs of an image's caption: in memory, or where they lie on disk.
struct CachedText {
  std::string npz_file;  // empty: in memory
  TextOutputs outputs;
};

struct ImageRecord {
  std::string path;
  int subset = 0;       // index into Dataset::subsets
  int num_repeats = 1;  // of a regularisation image: after balancing
  std::string caption;  // as read: several lines with enable_wildcard
  SizePx size;          // upright
  SizePx resized;       // what the image is resized to before the window of the bucket's size is cut
  SizePx bucket;
  std::optional<CachedLatents> cached;
  std::optional<CachedText> cached_text;
};

struct Subset {
  SubsetConfig config;
  int img_count = 0;  // images in the folder
};

// The batches of an epoch in the order before the sampler's permutation: buckets of image indices (an image as often as
// it is repeated) and the list of (bucket, number of the batch in it).
struct BucketOrder {
  std::vector<std::vector<uint32_t>> buckets;
  std::vector<std::pair<uint32_t, uint32_t>> batches;

  // Shuffles in place, from the present order: the orders of later epochs depend on those before.
  void shuffle(PythonRandom& random);
};

// How often each tag occurs, per folder: in the order in which they were met.
using TagCounts = std::vector<std::pair<std::string, int64_t>>;
using TagFrequency = std::vector<std::pair<std::string, TagCounts>>;

struct Dataset {
  DatasetConfig config;  // its subsets moved to `subsets`; bucket sizes rounded to steps
  std::vector<Subset> subsets;
  std::vector<ImageRecord> images;         // in registration order; regularisation images last
  std::vector<SizePx> bucket_resolutions;  // rising
  double mean_aspect_error = 0;
  int64_t num_train_images = 0;  // with repeats
  int64_t num_reg_images = 0;    // with repeats, before balancing
  TagFrequency tag_frequency;
  bool letterboxed = true;  // false: images are used at their own size (no buckets, no cache)

  const SubsetConfig& subset_of(const ImageRecord& image) const { return subsets[image.subset].config; }
  const std::optional<std::string>& interpolation_of(const ImageRecord& image) const;
  // The order before any shuffle: images in registration order.
  BucketOrder unshuffled_order() const;
};

}  // namespace difftune
