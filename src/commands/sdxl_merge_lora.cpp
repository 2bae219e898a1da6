#include "commands/sdxl_merge_lora.h"

#include "commands/merge_lora_work.h"
#include "commands/run_tool.h"

namespace difftune {
namespace {

CommandPage page() {
  return {.name = "sdxl_merge_lora",
          .summary = std::string(kSdxlMergeLoraSummary),
          .example =
              "difftune sdxl_merge_lora --sd_model sdxl.safetensors --models style.safetensors --ratios 0.8 --lbws "
              "\"[1,0,0,0,0.5,1,1,1,1,0.5,0,0]\" --save_to merged.safetensors --save_precision fp16"};
}

int work(SdxlMergeLoraOptions& options) { return run_merge(options, MergeCommand::sdxl_merge_lora); }

}  // namespace

int run_sdxl_merge_lora(std::span<const std::string> words) {
  return run_tool<SdxlMergeLoraOptions>(page(), words, work);
}
std::string sdxl_merge_lora_page() { return tool_page<SdxlMergeLoraOptions>(page()); }

}  // namespace difftune
