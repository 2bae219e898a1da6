// The options of `difftune sd3_minimal_inference`.
#pragma once

#include "options/inference/picture_options.h"

namespace difftune {

struct Sd3MinimalInferenceOptions {
  PictureOptions picture;
  std::string ckpt_path;
  std::optional<std::string> clip_g, clip_l, t5xxl, vae;
  int64_t t5xxl_token_length = 256;
  bool apply_lg_attn_mask = false, apply_t5_attn_mask = false;
  std::string negative_prompt;
  Number cfg_scale = 5.0;
  bool fp16 = false, bf16 = false;
  int64_t seed = 1, steps = 50;
  int64_t width = 1024, height = 1024;
};

OptionTable describe(Sd3MinimalInferenceOptions& options);

}  // namespace difftune
