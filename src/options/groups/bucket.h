// Aspect-ratio buckets and resizing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace difftune {

class OptionTable;

struct BucketOptions {
  bool enable_bucket = false;
  int64_t min_bucket_reso = 256;
  int64_t max_bucket_reso = 1024;
  int64_t bucket_reso_steps = 64;
  bool bucket_no_upscale = false;
  std::optional<std::string> resize_interpolation;
};

void describe(BucketOptions& options, OptionTable& table);

}  // namespace difftune
