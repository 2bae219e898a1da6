#include "commands/check_lora_weights.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/log.h"
#include "base/python_format.h"
#include "commands/run_tool.h"
#include "options/tools/tool_options.h"
#include "weight_tools/lora_statistics.h"
#include "weights/open_weights.h"

namespace difftune {
namespace {

struct Options {
  std::string file;
  bool show_all_keys = false;
  ToolRunOptions run;
  bool reference_quirks = false;
};

OptionTable describe(Options& options) {
  OptionTable table;
  table.group("Options");
  table.add("file", &options.file, "The LoRA: .safetensors, .ckpt or .pt.", {.required = true, .positional = true});
  table.add("show_all_keys", &options.show_all_keys, "Print all other tensors too.", {.letter = 's'});
  describe(options.run, table);
  table.add("reference_quirks", &options.reference_quirks,
            "With --show_all_keys, print the LoRA's matrices a second time, as sd-scripts does.");
  return table;
}

CommandPage page() {
  return {.name = "check_lora_weights",
          .summary = std::string(kCheckLoraWeightsSummary),
          .example = "difftune check_lora_weights lora.safetensors"};
}

int work(Options& options) {
  const auto lora = open_weights(options.file);
  std::vector<std::string> keys = lora->keys(), rows;
  if (fs::path(options.file).extension() == ".safetensors") std::sort(keys.begin(), keys.end());
  std::copy_if(keys.begin(), keys.end(), std::back_inserter(rows), is_adapter_weight);
  fmt::print("number of LoRA modules: {}\n", rows.size());
  if (options.show_all_keys) {
    std::copy_if(keys.begin(), keys.end(), std::back_inserter(rows),
                 [&](const std::string& key) { return options.reference_quirks || !is_adapter_weight(key); });
    fmt::print("number of all modules: {}\n", rows.size());
  }
  if (options.run.dry_run) return 0;
  std::vector<std::string> broken;
  for (const std::string& key : rows) {
    const TensorStatistics s = statistics(lora->tensor(key));
    fmt::print("{},{},{},{}\n", key, shape_column(lora->info(key).shape), python_repr(s.mean_magnitude),
               python_repr(s.min_magnitude));
    if (!s.is_finite) broken.push_back(key);
    lora->drop_pages(key);
  }
  if (!broken.empty()) log::warning("NaN or infinite values in {}", fmt::join(broken, ", "));
  return 0;
}

}  // namespace

int run_check_lora_weights(std::span<const std::string> words) { return run_tool<Options>(page(), words, work); }
std::string check_lora_weights_page() { return tool_page<Options>(page()); }

}  // namespace difftune
