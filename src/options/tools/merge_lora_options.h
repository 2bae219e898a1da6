// The options of merge_lora, sdxl_merge_lora and merge_lora_old.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "options/tools/tool_options.h"

namespace difftune {

struct MergeLoraOptions {
  bool v2 = false;
  std::optional<std::string> save_precision;
  std::string precision = "float";
  std::optional<std::string> sd_model;
  std::string save_to;
  std::vector<std::string> models;
  std::vector<double> ratios;
  std::vector<std::string> lbws;
  bool no_metadata = false;
  bool concat = false;
  bool shuffle = false;
  bool reference_quirks = false;
  ToolRunOptions run;
};
struct SdxlMergeLoraOptions : MergeLoraOptions {};
struct MergeLoraOldOptions : MergeLoraOptions {};

OptionTable describe(MergeLoraOptions& options);
OptionTable describe(SdxlMergeLoraOptions& options);
OptionTable describe(MergeLoraOldOptions& options);

}  // namespace difftune
