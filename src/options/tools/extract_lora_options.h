// The options of extract_lora_from_models and flux_extract_lora.
#pragma once

#include <optional>
#include <string>

#include "options/number.h"
#include "options/tools/tool_options.h"

namespace difftune {

struct FluxExtractLoraOptions {
  std::optional<std::string> save_precision;
  std::string model_org, model_tuned, save_to;
  int64_t dim = 4;
  std::optional<std::string> device;
  Number clamp_quantile = 0.99;
  bool no_metadata = false;
  bool mem_eff_safe_open = false;
  bool exact_svd = false;
  ToolRunOptions run;
};

struct ExtractLoraFromModelsOptions : FluxExtractLoraOptions {
  bool v2 = false;
  bool v_parameterization = false;
  bool sdxl = false;
  std::optional<std::string> load_precision;
  std::optional<int64_t> conv_dim;
  Number min_diff = 0.01;
  std::optional<std::string> load_original_model_to, load_tuned_model_to;
};

OptionTable describe(FluxExtractLoraOptions& options);
OptionTable describe(ExtractLoraFromModelsOptions& options);

}  // namespace difftune
