#include "commands/merge_lora_old.h"

#include "commands/merge_lora_work.h"
#include "commands/run_tool.h"

namespace difftune {
namespace {

CommandPage page() {
  return {.name = "merge_lora_old",
          .summary = std::string(kMergeLoraOldSummary),
          .example =
              "difftune merge_lora_old --sd_model model.safetensors --models style.safetensors --ratios 0.8 --save_to "
              "merged.safetensors"};
}

int work(MergeLoraOldOptions& options) { return run_merge(options, MergeCommand::merge_lora_old); }

}  // namespace

int run_merge_lora_old(std::span<const std::string> words) {
  return run_tool<MergeLoraOldOptions>(page(), words, work);
}
std::string merge_lora_old_page() { return tool_page<MergeLoraOldOptions>(page()); }

}  // namespace difftune
