// The options of `difftune sdxl_minimal_inference`. What the reference writes into its script (size, steps, scale,
// seed) are options of our own here, with its values.
#pragma once

#include "options/inference/picture_options.h"

namespace difftune {

struct SdxlMinimalInferenceOptions {
  PictureOptions picture;
  std::string ckpt_path;
  std::optional<std::string> vae;
  std::optional<std::string> prompt2;
  std::string negative_prompt;
  int64_t width = 1024, height = 1024, steps = 50;
  Number guidance_scale = 7.0;
  std::optional<int64_t> seed;
};

OptionTable describe(SdxlMinimalInferenceOptions& options);

}  // namespace difftune
