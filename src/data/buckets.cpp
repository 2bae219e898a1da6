#include "data/buckets.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/log.h"

namespace difftune {
namespace {

int rounded(double value) { return static_cast<int>(value + 0.5); }

int round_to_steps(double value, int step_px) {
  const int whole = rounded(value);
  return whole - whole % step_px;
}

}  // namespace

std::vector<SizePx> predefined_buckets(SizePx resolution, int min_px, int max_px, int step_px) {
  const int64_t area = resolution.area();
  std::set<SizePx> sizes;
  const int square = static_cast<int>(std::floor(std::sqrt(static_cast<double>(area)) / step_px)) * step_px;
  sizes.insert({square, square});
  for (int width = min_px; width <= max_px; width += step_px) {
    const int height = static_cast<int>(std::min<int64_t>(max_px, area / width / step_px * step_px));
    if (height < min_px) continue;
    sizes.insert({width, height});
    sizes.insert({height, width});
  }
  return {sizes.begin(), sizes.end()};
}

BucketChoice choose_predefined_bucket(SizePx image, std::span<const SizePx> buckets) {
  DT_CHECK(!buckets.empty() && image.width > 0 && image.height > 0);
  const double aspect = image.aspect();
  SizePx bucket = buckets[0];
  if (std::binary_search(buckets.begin(), buckets.end(), image)) {
    bucket = image;
  } else {
    double smallest = std::abs(bucket.aspect() - aspect);
    for (const SizePx candidate : buckets.subspan(1)) {
      const double error = std::abs(candidate.aspect() - aspect);
      if (error < smallest) {
        smallest = error;
        bucket = candidate;
      }
    }
  }
  const double scale = aspect > bucket.aspect() ? static_cast<double>(bucket.height) / image.height
                                                : static_cast<double>(bucket.width) / image.width;
  return {bucket, {rounded(image.width * scale), rounded(image.height * scale)}, bucket.aspect() - aspect};
}

BucketChoice choose_bucket_without_upscale(SizePx image, SizePx resolution, int step_px) {
  DT_CHECK(image.width > 0 && image.height > 0);
  const double aspect = image.aspect();
  const auto area = static_cast<double>(resolution.area());
  SizePx resized = image;
  if (image.area() > resolution.area()) {
    // One side is rounded to steps; the side is chosen whose bucket keeps the aspect ratio better.
    const double ideal_width = std::sqrt(area * aspect);
    const double ideal_height = area / ideal_width;
    const int by_width = round_to_steps(ideal_width, step_px);
    const int height_for_it = round_to_steps(by_width / aspect, step_px);
    const int by_height = round_to_steps(ideal_height, step_px);
    const int width_for_it = round_to_steps(by_height * aspect, step_px);
    if (height_for_it == 0 || by_height == 0) {
      fail("its aspect ratio of {}:{} leaves less than one bucket step ({} px) for a side", image.width, image.height,
           step_px);
    }
    const double error_by_width = std::abs(static_cast<double>(by_width) / height_for_it - aspect);
    const double error_by_height = std::abs(static_cast<double>(width_for_it) / by_height - aspect);
    resized = error_by_width < error_by_height ? SizePx{by_width, rounded(by_width / aspect)}
                                               : SizePx{rounded(by_height * aspect), by_height};
  }
  const SizePx bucket{resized.width - resized.width % step_px, resized.height - resized.height % step_px};
  if (bucket.width == 0 || bucket.height == 0) {
    fail("it is {}, and bucket_no_upscale needs at least one bucket step ({} px) on each side", to_string(image),
         step_px);
  }
  return {bucket, resized, bucket.aspect() - aspect};
}

CropBox letterbox_crop(SizePx bucket, SizePx image) {
  const double image_aspect = image.aspect();
  double width = bucket.width, height = bucket.height;
  if (bucket.aspect() > image_aspect) {
    width = bucket.height * image_aspect;
  } else {
    height = bucket.width / image_aspect;
  }
  const double left = std::floor((bucket.width - width) / 2), top = std::floor((bucket.height - height) / 2);
  return {left, top, left + width, top + height};
}

void check_bucket_options(DatasetConfig& config, int required_step_px) {
  const SizePx resolution = config.resolution;
  const int step = config.bucket_reso_steps;
  if (step < 1 || step % required_step_px != 0) {
    fail("bucket_reso_steps is {}: expected a multiple of {}, because this model's latents need it", step,
         required_step_px);
  }
  if (const int rest = config.min_bucket_reso % step; rest != 0) {
    log::warning("min_bucket_reso {} is rounded down to a multiple of bucket_reso_steps: {}", config.min_bucket_reso,
                 config.min_bucket_reso - rest);
    config.min_bucket_reso -= rest;
  }
  if (config.min_bucket_reso < step && !config.bucket_no_upscale) {
    fail("min_bucket_reso {} is smaller than one bucket_reso_steps ({} px)", config.min_bucket_reso, step);
  }
  if (const int rest = config.max_bucket_reso % step; rest != 0) {
    log::warning("max_bucket_reso {} is rounded up to a multiple of bucket_reso_steps: {}", config.max_bucket_reso,
                 config.max_bucket_reso + step - rest);
    config.max_bucket_reso += step - rest;
  }
  if (std::min(resolution.width, resolution.height) < config.min_bucket_reso) {
    fail("min_bucket_reso {} is larger than a side of the resolution {}: lower it or raise the resolution",
         config.min_bucket_reso, to_string(resolution));
  }
  if (std::max(resolution.width, resolution.height) > config.max_bucket_reso) {
    fail("max_bucket_reso {} is smaller than a side of the resolution {}: raise it or lower the resolution",
         config.max_bucket_reso, to_string(resolution));
  }
}

namespace {

double pairwise_sum(std::span<const double> values) {
  const size_t n = values.size();
  if (n < 8) {
    double sum = 0;
    for (const double value : values) sum += value;
    return sum;
  }
  if (n <= 128) {
    double lane[8];
    std::copy_n(values.begin(), 8, lane);
    size_t i = 8;
    for (; i + 8 <= n; i += 8) {
      for (size_t k = 0; k < 8; ++k) lane[k] += values[i + k];
    }
    double sum = ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));
    for (; i < n; ++i) sum += values[i];
    return sum;
  }
  const size_t half = n / 2 - n / 2 % 8;
  return pairwise_sum(values.first(half)) + pairwise_sum(values.subspan(half));
}

}  // namespace

double numpy_mean(std::span<const double> values) {
  return values.empty() ? 0.0 : pairwise_sum(values) / static_cast<double>(values.size());
}

}  // namespace difftune
