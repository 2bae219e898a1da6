#include "commands/resize_lora.h"

#include <fmt/core.h>
#include <cmath>

#include "base/error.h"
#include "base/log.h"
#include "base/python_format.h"
#include "commands/run_tool.h"
#include "commands/tool_metadata.h"
#include "options/tools/lora_size_options.h"
#include "weight_tools/combine_loras.h"
#include "weight_tools/precision.h"
#include "weight_tools/resize_lora.h"
#include "weight_tools/tool_files.h"

namespace difftune {
namespace {

CommandPage page() {
  return {.name = "resize_lora",
          .summary = std::string(kResizeLoraSummary),
          .example =
              "difftune resize_lora --model style.safetensors --save_to small.safetensors --new_rank 8 "
              "--save_precision fp16"};
}

RankMethod rank_method(const std::optional<std::string>& name) {
  if (!name) return RankMethod::fixed;
  if (*name == "sv_ratio") return RankMethod::sv_ratio;
  return *name == "sv_fro" ? RankMethod::sv_fro : RankMethod::sv_cumulative;
}

// The entries of the file with the new ranks in them, worded as sd-scripts does.
Metadata resized_metadata(const AdapterFile& file, const ResizeLoraOptions& options, const ResizeRules& rules,
                          const ResizedLora& resized) {
  Metadata metadata = file.metadata();
  const auto found = metadata.find("ss_training_comment");
  const std::string comment = found == metadata.end() ? "" : found->second;
  int64_t old_rank = 0;
  for (const ResizedModule& module : resized.modules) old_rank = std::max(old_rank, module.old_rank);
  if (options.dynamic_method) {
    metadata["ss_training_comment"] = fmt::format("Dynamic resize with {}: {} from {}; {}", *options.dynamic_method,
                                                  python_repr(options.dynamic_param->value()), old_rank, comment);
    metadata["ss_network_dim"] = metadata["ss_network_alpha"] = "Dynamic";
  } else {
    const std::string conv = rules.rank == rules.conv_rank ? "" : fmt::format(" (conv: {})", rules.conv_rank);
    metadata["ss_training_comment"] =
        fmt::format("dimension is resized from {} to {}{}; {}", old_rank, rules.rank, conv, comment);
    metadata["ss_network_dim"] = std::to_string(rules.rank);
    metadata["ss_network_alpha"] = python_repr(resized.modules.back().new_alpha);
  }
  return metadata;
}

void print_modules(const ResizedLora& resized, bool is_dynamic) {
  double sum = 0, square = 0;
  int64_t count = 0;
  for (const ResizedModule& module : resized.modules) {
    fmt::print("{:75} | sum(S) retained: {:.1f}%, fro retained: {:.1f}%, max(S) ratio: {:.1f}", module.name,
               100 * module.sum_retained, 100 * module.fro_retained, module.max_ratio);
    if (is_dynamic) fmt::print(", dynamic | dim: {}, alpha: {}", module.new_rank, python_repr(module.new_alpha));
    fmt::print("\n");
    if (std::isnan(module.fro_retained)) continue;
    sum += module.fro_retained;
    square += module.fro_retained * module.fro_retained;
    ++count;
  }
  const double mean = sum / static_cast<double>(count);
  const double deviation = std::sqrt(std::max(0.0, square / static_cast<double>(count) - mean * mean));
  fmt::print("Average Frobenius norm retention: {:.2f}% | std: {:.3f}\n", 100 * mean, deviation);
}

int work(ResizeLoraOptions& options) {
  if (options.dynamic_method && !options.dynamic_param) throw UsageError("--dynamic_method needs --dynamic_param");
  if (options.dynamic_param && !options.dynamic_method) throw UsageError("--dynamic_param needs --dynamic_method");
  if (options.dynamic_param && options.dynamic_param->value() <= 0) {
    throw UsageError(fmt::format("--dynamic_param {}: expected a number above 0", options.dynamic_param->value()));
  }
  const std::vector<std::string> inputs = {options.model};
  check_output(options.save_to, "--save_to", inputs);
  const AdapterFile file(options.model);
  ResizeRules rules;
  rules.rank = options.new_rank;
  rules.conv_rank = options.new_conv_rank.value_or(options.new_rank);
  rules.method = rank_method(options.dynamic_method);
  if (options.dynamic_param) rules.parameter = options.dynamic_param->value();
  rules.save_dtype = parse_precision(options.save_precision, "--save_precision").value_or(at::kFloat);
  ResizedLora resized = resize_lora(file, rules);
  convert_lora(resized.tensors, rules.save_dtype);
  if (!resized.untouched.empty()) {
    log::warning("{}: {} modules are no plain LoRA and stay as they are: {}", options.model, resized.untouched.size(),
                 list_some(resized.untouched));
  }
  if (options.verbose) print_modules(resized, options.dynamic_method.has_value());
  int64_t smallest = INT64_MAX, largest = 0;
  for (const ResizedModule& module : resized.modules) {
    smallest = std::min(smallest, module.new_rank);
    largest = std::max(largest, module.new_rank);
  }
  const std::string ranks = smallest == largest ? std::to_string(largest) : fmt::format("{} to {}", smallest, largest);
  const std::string summary =
      fmt::format("{} ({} modules of rank {}) from {}", options.save_to, resized.modules.size(), ranks, options.model);
  if (options.run.dry_run) {
    log::info("would write {}", summary);
    return 0;
  }
  write_lora(options.save_to, resized.tensors, resized_metadata(file, options, rules, resized));
  log::info("wrote {}", summary);
  return 0;
}

}  // namespace

int run_resize_lora(std::span<const std::string> words) { return run_tool<ResizeLoraOptions>(page(), words, work); }
std::string resize_lora_page() { return tool_page<ResizeLoraOptions>(page()); }

}  // namespace difftune
