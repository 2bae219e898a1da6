// The options of resize_lora, svd_merge_lora and extract_lora_from_dylora.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "options/number.h"
#include "options/tools/tool_options.h"

namespace difftune {

struct ResizeLoraOptions {
  std::optional<std::string> save_precision;
  int64_t new_rank = 4;
  std::optional<int64_t> new_conv_rank;
  std::string save_to, model;
  std::optional<std::string> device;
  bool verbose = false;
  std::optional<std::string> dynamic_method;
  std::optional<Number> dynamic_param;
  ToolRunOptions run;
};

struct SvdMergeLoraOptions {
  std::optional<std::string> save_precision;
  std::string precision = "float";
  std::string save_to;
  std::vector<std::string> models;
  std::vector<double> ratios;
  std::vector<std::string> lbws;
  int64_t new_rank = 4;
  std::optional<int64_t> new_conv_rank;
  bool exact_svd = false;
  std::optional<std::string> device;
  bool no_metadata = false;
  ToolRunOptions run;
};

struct ExtractLoraFromDyloraOptions {
  std::optional<int64_t> unit;
  std::string save_to, model;
  ToolRunOptions run;
};

OptionTable describe(ResizeLoraOptions& options);
OptionTable describe(SvdMergeLoraOptions& options);
OptionTable describe(ExtractLoraFromDyloraOptions& options);

}  // namespace difftune
