#include "commands/extract_lora_from_dylora.h"

#include "base/error.h"
#include "base/log.h"
#include "commands/run_tool.h"
#include "commands/tool_metadata.h"
#include "options/tools/lora_size_options.h"
#include "weight_tools/split_dylora.h"
#include "weight_tools/tool_files.h"

namespace difftune {
namespace {

CommandPage page() {
  return {
      .name = "extract_lora_from_dylora",
      .summary = std::string(kExtractLoraFromDyloraSummary),
      .example = "difftune extract_lora_from_dylora --model dylora.safetensors --unit 4 --save_to lora.safetensors"};
}

// "lora.safetensors" of rank 8 is "lora-0008.safetensors".
std::string name_of_rank(const fs::path& save_to, int64_t rank) {
  return (save_to.parent_path() / fmt::format("{}-{:04}{}", title_of(save_to), rank, save_to.extension().string()))
      .string();
}

int work(ExtractLoraFromDyloraOptions& options) {
  if (!options.unit) throw UsageError("--unit is missing: the step between the ranks to split off");
  const std::vector<std::string> inputs = {options.model};
  check_output(options.save_to, "--save_to", inputs);
  const AdapterFile file(options.model);
  const int64_t old_rank = largest_rank(file);
  const auto ranks = dylora_ranks(file, *options.unit);
  for (const int64_t rank : ranks) check_output(name_of_rank(options.save_to, rank), "--save_to", inputs);
  for (const int64_t rank : ranks) {
    const std::string path = name_of_rank(options.save_to, rank);
    if (options.run.dry_run) {
      log::info("would write {} (rank {} of {})", path, rank, old_rank);
      continue;
    }
    Metadata metadata = file.metadata();
    const std::string comment = metadata["ss_training_comment"];
    metadata["ss_training_comment"] = fmt::format("split from DyLoRA, rank {} to {}; {}", old_rank, rank, comment);
    metadata["ss_network_dim"] = std::to_string(rank);
    write_lora(path, first_ranks(file, rank), metadata);
    log::info("wrote {} (rank {} of {})", path, rank, old_rank);
  }
  return 0;
}

}  // namespace

int run_extract_lora_from_dylora(std::span<const std::string> words) {
  return run_tool<ExtractLoraFromDyloraOptions>(page(), words, work);
}
std::string extract_lora_from_dylora_page() { return tool_page<ExtractLoraFromDyloraOptions>(page()); }

}  // namespace difftune
