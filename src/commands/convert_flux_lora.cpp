#include "commands/convert_flux_lora.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "commands/run_tool.h"
#include "commands/write_planned.h"
#include "options/tools/tool_options.h"
#include "weight_tools/checkpoint_output.h"
#include "weight_tools/convert_flux_lora.h"
#include "weights/open_weights.h"

namespace difftune {
namespace {

constexpr const char* kAiToolkit = "ai-toolkit";
constexpr const char* kSdScripts = "sd-scripts";

struct Options {
  std::string src = kAiToolkit, dst = kSdScripts;
  std::string src_path, dst_path;
  ToolRunOptions run;
};

OptionTable describe(Options& options) {
  OptionTable table;
  table.group("Options");
  table.add("src", &options.src, "Layout of the LoRA: ai-toolkit or sd-scripts.", {.metavar = "LAYOUT"});
  table.add("dst", &options.dst, "Layout to write: the other one.", {.metavar = "LAYOUT"});
  table.add("src_path", &options.src_path, "The LoRA.", {.metavar = "FILE", .required = true});
  table.add("dst_path", &options.dst_path, "The file to write.", {.metavar = "FILE", .required = true});
  describe(options.run, table);
  return table;
}

CommandPage page() {
  return {.name = "convert_flux_lora",
          .summary = std::string(kConvertFluxLoraSummary),
          .example =
              "difftune convert_flux_lora --src ai-toolkit --dst sd-scripts --src_path lora.safetensors --dst_path "
              "lora_sd_scripts.safetensors"};
}

void report_left_out(const ConvertedLora& lora, const Options& options) {
  constexpr size_t kMaxNamed = 5;
  if (lora.left_out.empty()) return;
  const auto end = lora.left_out.begin() + std::min(lora.left_out.size(), kMaxNamed);
  log::warning("{} tensors have no place in {}'s layout and are left out: {}{}", lora.left_out.size(), options.dst,
               fmt::join(lora.left_out.begin(), end, ", "), lora.left_out.size() > kMaxNamed ? ", ..." : "");
}

int work(Options& options) {
  const bool to_sd = options.src == kAiToolkit && options.dst == kSdScripts;
  if (!to_sd && !(options.src == kSdScripts && options.dst == kAiToolkit)) {
    throw UsageError(fmt::format("--src {} --dst {}: expected ai-toolkit and sd-scripts, or the other way around",
                                 options.src, options.dst));
  }
  CheckpointOutput output{.path = options.dst_path};
  if (output.path.extension() != ".safetensors") {
    throw UsageError(fmt::format("--dst_path {}: expected a name that ends in .safetensors", options.dst_path));
  }
  require_new_file(output.path, std::vector<fs::path>{options.src_path}, "--dst_path");

  const auto lora = open_weights(options.src_path);
  const ConvertedLora converted = to_sd ? flux_lora_from_ai_toolkit(*lora) : flux_lora_to_ai_toolkit(*lora);
  if (converted.num_modules_written == 0) {
    fail("{}: has no module of a FLUX.1 LoRA in {}'s layout (its first tensor is '{}')", options.src_path, options.src,
         lora->keys().empty() ? "none" : lora->keys().front());
  }
  report_left_out(converted, options);
  if (!lora->metadata().empty()) output.metadata = lora->metadata();
  const auto tensors = std::make_shared<MemorySource>(converted.tensors, Metadata{}, options.src_path);
  std::vector<TensorRecipe> recipes;
  for (const std::string& key : tensors->keys()) recipes.push_back(copy_recipe(key, {tensors, key}));
  const std::string what = fmt::format("{} into {}: {} modules of {} as {} of {}, {}", options.src_path,
                                       options.dst_path, converted.num_modules_read, options.src,
                                       converted.num_modules_written, options.dst, display_bytes(total_bytes(recipes)));
  return write_planned(output, recipes, {"convert", "converting", "converted"}, what, options.run.dry_run);
}

}  // namespace

int run_convert_flux_lora(std::span<const std::string> words) { return run_tool<Options>(page(), words, work); }
std::string convert_flux_lora_page() { return tool_page<Options>(page()); }

}  // namespace difftune
