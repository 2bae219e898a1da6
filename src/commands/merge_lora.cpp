#include "commands/merge_lora.h"

#include "commands/merge_lora_work.h"
#include "commands/run_tool.h"

namespace difftune {
namespace {

CommandPage page() {
  return {.name = "merge_lora",
          .summary = std::string(kMergeLoraSummary),
          .example =
              "difftune merge_lora --sd_model model.safetensors --models style.safetensors face.safetensors --ratios "
              "0.8 0.5 --save_to merged.safetensors --save_precision fp16"};
}

int work(MergeLoraOptions& options) { return run_merge(options, MergeCommand::merge_lora); }

}  // namespace

int run_merge_lora(std::span<const std::string> words) { return run_tool<MergeLoraOptions>(page(), words, work); }
std::string merge_lora_page() { return tool_page<MergeLoraOptions>(page()); }

}  // namespace difftune
