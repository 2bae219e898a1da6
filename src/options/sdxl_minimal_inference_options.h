// The options of `difftune sdxl_minimal_inference`. What the reference writes into its script (size, steps, scale,
// seed) are options of our own here, with its values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "options/number.h"
#include "options/option_table.h"

namespace difftune {

struct SdxlMinimalInferenceOptions {
  std::string ckpt_path;
  std::string prompt = "A photo of a cat";
  std::optional<std::string> prompt2;
  std::string negative_prompt;
  std::string output_dir = ".";
  std::vector<std::string> lora_weights;
  bool interactive = false;

  std::optional<std::string> tokenizer_cache_dir;
  int64_t width = 1024, height = 1024, steps = 50;
  Number guidance_scale = 7.0;
  std::optional<int64_t> seed;
};

OptionTable describe(SdxlMinimalInferenceOptions& options);

}  // namespace difftune
