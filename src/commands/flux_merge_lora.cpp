#include "commands/flux_merge_lora.h"

#include "base/error.h"
#include "commands/merge_lora_work.h"
#include "commands/run_tool.h"
#include "options/tools/flux_merge_lora_options.h"
#include "weight_tools/precision.h"

namespace difftune {
namespace {

CommandPage page() {
  return {.name = "flux_merge_lora",
          .summary = std::string(kFluxMergeLoraSummary),
          .example =
              "difftune flux_merge_lora --flux_model flux1-dev.safetensors --models style.safetensors --ratios 0.8 "
              "--save_to merged.safetensors --save_precision bf16"};
}

// FLUX.1's LoRAs name their metadata like this whatever the files say.
LoraMergeRequest lora_request(const FluxMergeLoraOptions& options, std::vector<MergeInput> inputs,
                              const MergeRules& rules) {
  if (!options.save_to) throw UsageError("--save_to is missing: the .safetensors file to write");
  LoraMergeRequest request{.save_to = *options.save_to, .inputs = std::move(inputs), .rules = rules};
  request.combination = options.concat ? Combination::concatenate : Combination::add;
  request.shuffle = options.shuffle;
  request.has_model_spec = !options.no_metadata;
  request.identity = family_identity("FLUX.1");
  request.v2 = "False";
  request.dry_run = options.run.dry_run;
  return request;
}

// Adds a model that is merged into; its file and the one to write belong together.
void add_output(CheckpointMergeRequest& request, const std::optional<std::string>& file,
                const std::optional<std::string>& save_to, const char* option, const char* save_option,
                bool has_metadata) {
  if (!file && !save_to) return;
  if (!file || !save_to) {
    throw UsageError(fmt::format("{} is missing: it and {} belong together", file ? save_option : option,
                                 file ? option : save_option));
  }
  request.outputs.push_back(
      {.option = option, .file = *file, .save_option = save_option, .save_to = *save_to, .has_metadata = has_metadata});
}

int work(FluxMergeLoraOptions& options) {
  const c10::ScalarType precision = parse_precision(options.precision, "--precision");
  if (c10::elementSize(precision) == 1) {
    throw UsageError(fmt::format("--precision {}: sums need float, fp16 or bf16", options.precision));
  }
  const c10::ScalarType save_dtype = parse_precision(options.save_precision, "--save_precision").value_or(precision);
  if (options.diffusers && (options.clip_l || options.t5xxl)) {
    throw UsageError("--diffusers cannot be given together with --clip_l and --t5xxl");
  }
  const bool has_model = options.flux_model || options.clip_l || options.t5xxl;
  if (has_model && (options.concat || options.shuffle)) {
    throw UsageError(fmt::format("--{} is for LoRAs merged with one another: leave it or the models out",
                                 options.concat ? "concat" : "shuffle"));
  }
  std::vector<MergeInput> inputs = open_merge_inputs(options.models, options.ratios);
  const MergeRules rules{.precision = precision};
  if (!has_model) {
    LoraMergeRequest request = lora_request(options, std::move(inputs), rules);
    request.save_dtype = save_dtype;
    return merge_loras(request);
  }
  CheckpointMergeRequest request{
      .inputs = std::move(inputs), .rules = rules, .save_dtype = save_dtype, .dry_run = options.run.dry_run};
  add_output(request, options.flux_model, options.save_to, "--flux_model", "--save_to", !options.no_metadata);
  add_output(request, options.clip_l, options.clip_l_save_to, "--clip_l", "--clip_l_save_to", false);
  add_output(request, options.t5xxl, options.t5xxl_save_to, "--t5xxl", "--t5xxl_save_to", false);
  return merge_into_checkpoints(request);
}

}  // namespace

int run_flux_merge_lora(std::span<const std::string> words) {
  return run_tool<FluxMergeLoraOptions>(page(), words, work);
}
std::string flux_merge_lora_page() { return tool_page<FluxMergeLoraOptions>(page()); }

}  // namespace difftune
