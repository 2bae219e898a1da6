// The options of flux_merge_lora.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "options/tools/tool_options.h"

namespace difftune {

struct FluxMergeLoraOptions {
  std::optional<std::string> save_precision;
  std::string precision = "float";
  std::optional<std::string> flux_model, clip_l, t5xxl;
  bool mem_eff_load_save = false;
  std::string loading_device = "cpu", working_device = "cpu";
  std::optional<std::string> save_to, clip_l_save_to, t5xxl_save_to;
  std::vector<std::string> models;
  std::vector<double> ratios;
  bool no_metadata = false;
  bool concat = false;
  bool shuffle = false;
  bool diffusers = false;
  ToolRunOptions run;
};

OptionTable describe(FluxMergeLoraOptions& options);

}  // namespace difftune
