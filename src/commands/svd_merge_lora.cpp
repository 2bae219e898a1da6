#include "commands/svd_merge_lora.h"

#include <fmt/ranges.h>

#include "base/error.h"
#include "base/log.h"
#include "commands/merge_lora_work.h"
#include "commands/run_tool.h"
#include "commands/tool_metadata.h"
#include "options/tools/lora_size_options.h"
#include "weight_tools/precision.h"
#include "weight_tools/svd_merge.h"
#include "weight_tools/tool_files.h"

namespace difftune {
namespace {

CommandPage page() {
  return {.name = "svd_merge_lora",
          .summary = std::string(kSvdMergeLoraSummary),
          .example =
              "difftune svd_merge_lora --models style.safetensors face.safetensors --ratios 0.8 0.5 --new_rank 16 "
              "--save_to both.safetensors --save_precision fp16"};
}

int work(SvdMergeLoraOptions& options) {
  const auto block_weights = parse_block_weights(options.lbws);
  if (!block_weights.empty() && block_weights.size() != options.models.size()) {
    throw UsageError(fmt::format("--models names {} files and --lbws {} lists; there must be one for each",
                                 options.models.size(), block_weights.size()));
  }
  check_output(options.save_to, "--save_to", options.models);
  std::vector<MergeInput> inputs = open_merge_inputs(options.models, options.ratios);
  for (size_t i = 0; i < block_weights.size(); ++i) {
    inputs[i].block_weights = &block_weights[i];
    log::info("{}: block weights {}", options.models[i], block_weights[i].description());
  }
  SvdMergeRules rules;
  rules.rank = options.new_rank;
  rules.conv_rank = options.new_conv_rank.value_or(options.new_rank);
  rules.exact = options.exact_svd;
  rules.merge.precision = parse_precision(options.precision, "--precision");
  rules.save_dtype = parse_precision(options.save_precision, "--save_precision").value_or(rules.merge.precision);
  const auto tensors = svd_merge(inputs, rules);
  if (const std::string name = first_non_finite(tensors); !name.empty()) {
    fail("{} of the result is infinite in the precision of the output; use --save_precision float or bf16", name);
  }
  const std::string summary = fmt::format("{} ({} modules of rank {}) from {}", options.save_to, tensors.size() / 3,
                                          rules.rank, fmt::join(options.models, ", "));
  if (options.run.dry_run) {
    log::info("would write {}", summary);
    return 0;
  }
  std::vector<const Metadata*> metadata;
  for (const MergeInput& input : inputs) metadata.push_back(&input.file->metadata());
  const std::string rank = std::to_string(rules.rank);
  const NetworkFacts facts{.v2 = first_entry(metadata, "ss_v2"),
                           .base_model_version = first_entry(metadata, "ss_base_model_version"),
                           .dim = rank,
                           .alpha = rank,
                           .args = fmt::format("{{\"conv_dim\": {0}, \"conv_alpha\": {0}}}", rules.conv_rank)};
  Metadata entries = network_entries(facts);
  if (!options.no_metadata) {
    const bool is_v2 = facts.v2 == "True";
    const bool is_sdxl = facts.base_model_version && facts.base_model_version->starts_with("sdxl");
    const FamilyIdentity identity = is_sdxl ? *family_identity("Stable Diffusion XL") : sd_identity(is_v2, is_v2);
    entries.merge(tool_model_spec(identity, /*is_lora=*/true, options.save_to, merged_from(options.models)));
  }
  write_lora(options.save_to, tensors, entries);
  log::info("wrote {}", summary);
  return 0;
}

}  // namespace

int run_svd_merge_lora(std::span<const std::string> words) {
  return run_tool<SvdMergeLoraOptions>(page(), words, work);
}
std::string svd_merge_lora_page() { return tool_page<SvdMergeLoraOptions>(page()); }

}  // namespace difftune
