// The options of `difftune flux_minimal_inference`.
#pragma once

#include "options/inference/picture_options.h"

namespace difftune {

struct FluxMinimalInferenceOptions {
  PictureOptions picture;
  std::string ckpt_path;
  std::string model_type = "flux";
  std::optional<std::string> clip_l, t5xxl, ae;
  bool apply_t5_attn_mask = false;
  std::string dtype = "bfloat16";
  std::optional<std::string> clip_l_dtype, ae_dtype, t5xxl_dtype, flux_dtype;
  std::optional<int64_t> seed, steps;
  Number guidance = 3.5;
  std::optional<std::string> negative_prompt;
  Number cfg_scale = 1.0;
  int64_t width = 1360, height = 768;
};

OptionTable describe(FluxMinimalInferenceOptions& options);

}  // namespace difftune
