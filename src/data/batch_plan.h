// What one batch consists of, decided before any image is read.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/size_px.h"

namespace difftune {

struct SamplePlan {
  uint32_t image = 0;  // index into the dataset's images
  std::string caption;
  bool flip = false;
  // Top left corner of the bucket's window in the resized image, in pixels (not used with cached latents).
  int crop_x = 0;
  int crop_y = 0;
  float loss_weight = 1;

  bool operator==(const SamplePlan&) const = default;
};

struct BatchPlan {
  int dataset = 0;
  SizePx resolution;
  std::vector<SamplePlan> samples;
  // What EpochContext::step_draws left here: numbers that the training step takes from the same generator.
  std::vector<double> step_draws;

  bool operator==(const BatchPlan&) const = default;
};

}  // namespace difftune
