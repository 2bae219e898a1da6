// The options of `difftune lumina_minimal_inference`.
#pragma once

#include "options/inference/picture_options.h"

namespace difftune {

struct LuminaMinimalInferenceOptions {
  PictureOptions picture = {.prompt = "A beautiful sunset over the mountains", .output_dir = "outputs"};
  std::string pretrained_model_name_or_path, gemma2_path, ae_path;
  std::string negative_prompt;
  std::optional<int64_t> seed;
  int64_t steps = 36;
  Number guidance_scale = 3.5;
  int64_t image_width = 1024, image_height = 1024;
  std::string dtype = "bf16", gemma2_dtype = "bf16", ae_dtype = "bf16";
  std::optional<std::string> device;
  std::string system_prompt;
  bool add_system_prompt_to_negative_prompt = false;
  int64_t gemma2_max_token_length = 256;
  Number discrete_flow_shift = 6.0, cfg_trunc_ratio = 0.25, renorm_cfg = 1.0;
  bool use_flash_attn = false, use_sage_attn = false;
};

OptionTable describe(LuminaMinimalInferenceOptions& options);

}  // namespace difftune
