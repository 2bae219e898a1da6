#include "options/groups/bucket.h"

#include "options/option_table.h"

namespace difftune {

void describe(BucketOptions& options, OptionTable& table) {
  table.group("Aspect-ratio buckets");
  table.add("enable_bucket", &options.enable_bucket,
            "Keep the aspect ratio of images by sorting them into buckets of about the same area.");
  table.add("min_bucket_reso", &options.min_bucket_reso,
            "Shortest side of a bucket; a multiple of --bucket_reso_steps.", {.unit = "px", .minimum = 1});
  table.add("max_bucket_reso", &options.max_bucket_reso, "Longest side of a bucket; a multiple of --bucket_reso_steps.",
            {.unit = "px", .minimum = 1});
  table.add("bucket_reso_steps", &options.bucket_reso_steps,
            "Sides of buckets are multiples of this; SD models need a multiple of 64.", {.unit = "px", .minimum = 1});
  table.add("bucket_no_upscale", &options.bucket_no_upscale,
            "Never enlarge an image: buckets come from the images' own sizes.");
  table.add("resize_interpolation", &options.resize_interpolation,
            "How images are resized; without it, area when shrinking and lanczos when enlarging.",
            {.choices = {"lanczos", "nearest", "bilinear", "linear", "bicubic", "cubic", "area"}});
}

}  // namespace difftune
