// Aspect-ratio buckets: which resolution an image is trained at, and how it gets there.
// Source of every formula: BucketManager and make_bucket_resolutions of the reference; the tests compare with it.
#pragma once

#include <span>
#include <vector>

#include "data/dataset_config.h"
#include "data/size_px.h"

namespace difftune {

// Edges in pixels of the bucket; fractions occur.
struct CropBox {
  double left = 0;
  double top = 0;
  double right = 0;
  double bottom = 0;
};

struct BucketChoice {
  SizePx bucket;
  SizePx resized;           // covers the bucket; what sticks out is cut off
  double aspect_error = 0;  // bucket's aspect ratio minus the image's
};

// The resolutions of about `resolution`'s area with sides from `min_px` to `max_px` in steps of `step_px`, rising.
std::vector<SizePx> predefined_buckets(SizePx resolution, int min_px, int max_px, int step_px);

// The bucket of the nearest aspect ratio; the image is enlarged or reduced to cover it.
BucketChoice choose_predefined_bucket(SizePx image, std::span<const SizePx> buckets);

// The bucket for bucket_no_upscale: the image is reduced to `resolution`'s area where larger, never enlarged, and its
// bucket is that size rounded down to steps. Throws UserError where a side is shorter than one step.
BucketChoice choose_bucket_without_upscale(SizePx image, SizePx resolution, int step_px);

// Where the whole image, letterboxed into the bucket, would lie: what SDXL is told about cropping.
CropBox letterbox_crop(SizePx bucket, SizePx image);

// Rounds min_bucket_reso down and max_bucket_reso up to steps (with a warning) and checks them against the resolution.
// Throws UserError.
void check_bucket_options(DatasetConfig& config, int required_step_px);

// The sum of float64 values in the order in which NumPy adds them (pairwise), divided by their number; 0 for none.
double numpy_mean(std::span<const double> values);

}  // namespace difftune
