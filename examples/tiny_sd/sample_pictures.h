// Pictures from prompts, with any model that difftune opens.
#pragma once

#include <string>
#include <vector>

#include "families/model_family.h"
#include "image/image.h"

namespace difftune::tiny {

struct SampleSettings {
  int size_px = 64;
  int64_t num_steps = 20;
  double guidance = 5;
  uint64_t seed = 1;
};

// One picture for each prompt by DDIM with classifier-free guidance against the empty prompt. Picture i starts from the
// noise of seed + i, whatever the others are. All parts of `family` are loaded.
std::vector<Image> sample_pictures(const ModelFamily& family, const std::vector<std::string>& prompts,
                                   const SampleSettings& settings);

}  // namespace difftune::tiny
