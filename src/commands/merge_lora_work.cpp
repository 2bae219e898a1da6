#include "commands/merge_lora_work.h"

#include <fmt/ranges.h>

#include <chrono>

#include "base/error.h"
#include "base/log.h"
#include "commands/tool_metadata.h"
#include "weight_tools/precision.h"
#include "weight_tools/tool_files.h"
#include "weights/open_weights.h"

namespace difftune {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::vector<std::string> file_names(const std::vector<MergeInput>& inputs) {
  std::vector<std::string> names;
  for (const MergeInput& input : inputs) names.push_back(input.file->path().string());
  return names;
}

void report_matches(const CheckpointMerge& merge, const std::vector<MergeInput>& inputs) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    const auto& report = merge.reports()[i];
    const AdapterFile& file = *inputs[i].file;
    log::info("{}: {} of {} modules have their place, ratio {}", file.path().string(), report.num_matched,
              file.modules().size(), inputs[i].ratio);
    if (inputs[i].block_weights != nullptr) log::info("block weights: {}", inputs[i].block_weights->description());
    if (!report.unmatched.empty()) {
      log::warning("{}: {} modules have no place and are left out: {}", file.path().string(), report.unmatched.size(),
                   list_some(report.unmatched, 20));
    }
    if (!file.other_keys().empty()) {
      log::warning("{}: {} tensors belong to no module: {}", file.path().string(), file.other_keys().size(),
                   list_some(file.other_keys()));
    }
  }
}

void report_left_out(const TensorSource& checkpoint, const std::vector<TensorRecipe>& tensors) {
  const size_t count = checkpoint.keys().size() - tensors.size();
  if (count > 0)
    log::info("{}: {} tensors that no part of the model uses are left out", checkpoint.path().string(), count);
}

}  // namespace

std::vector<MergeInput> open_merge_inputs(const std::vector<std::string>& models, const std::vector<double>& ratios) {
  if (models.size() != ratios.size()) {
    throw UsageError(fmt::format("--models names {} files and --ratios {} numbers; there must be one for each",
                                 models.size(), ratios.size()));
  }
  std::vector<MergeInput> inputs;
  for (size_t i = 0; i < models.size(); ++i) {
    inputs.push_back({std::make_shared<const AdapterFile>(models[i]), ratios[i]});
  }
  return inputs;
}

int merge_into_checkpoints(const CheckpointMergeRequest& request) {
  const auto start = Clock::now();
  const auto loras = file_names(request.inputs);
  std::vector<std::string> input_files = loras;
  std::vector<std::shared_ptr<const TensorSource>> checkpoints;
  for (const MergeOutput& output : request.outputs) {
    checkpoints.push_back(open_weights(output.file));
    input_files.push_back(output.file);
  }
  for (const MergeOutput& output : request.outputs) check_output(output.save_to, output.save_option, input_files);

  const CheckpointMerge merge(checkpoints, request.inputs, request.rules);
  report_matches(merge, request.inputs);
  for (size_t i = 0; i < request.outputs.size(); ++i) {
    const MergeOutput& output = request.outputs[i];
    const auto tensors = merge.recipes(i, request.save_dtype);
    report_left_out(*checkpoints[i], tensors);
    std::optional<Metadata> metadata;
    if (const auto identity = identify_checkpoint(*checkpoints[i]); output.has_metadata && identity) {
      std::vector<std::string> sources = {output.file};
      sources.insert(sources.end(), loras.begin(), loras.end());
      metadata = tool_model_spec(*identity, /*is_lora=*/false, output.save_to, merged_from(sources));
    }
    const auto say = [&](const char* what) {
      log::info("{} {} ({} of {} tensors changed, {}, {}): {} with {}", what, output.save_to,
                merge.num_changed_tensors(i), tensors.size(), dtype_name(request.save_dtype),
                display_bytes(total_bytes(tensors)), output.file, fmt::join(loras, ", "));
    };
    if (request.dry_run) {
      require_free_space(output.save_to, tensors);
      say("would write");
      continue;
    }
    CheckpointOutput written{.path = output.save_to, .metadata = std::move(metadata)};
    if (output.has_training_counts) written.torch.state_dict_beside = {{"epoch", 0}, {"global_step", 0}};
    write_checkpoint(written, tensors, "merging");
    say("wrote");
  }
  log::info("done in {:.1f} s", seconds_since(start));
  return 0;
}

int merge_loras(const LoraMergeRequest& request) {
  const auto start = Clock::now();
  const auto files = file_names(request.inputs);
  check_output(request.save_to, "--save_to", files);
  LoraResult result = combine_loras(request.inputs, request.combination, request.rules);
  if (request.shuffle) shuffle_ranks(result.tensors);
  convert_lora(result.tensors, request.save_dtype);
  const std::string summary =
      fmt::format("{} ({} modules of rank {}, alpha {}, {}) from {}", request.save_to, result.tensors.size() / 3,
                  result.network_dim, result.network_alpha, dtype_name(request.save_dtype), fmt::join(files, ", "));
  if (request.dry_run) {
    log::info("would write {}", summary);
    return 0;
  }
  if (!request.has_metadata) {
    write_lora(request.save_to, result.tensors, std::nullopt);
  } else {
    std::vector<const Metadata*> metadata;
    for (const MergeInput& input : request.inputs) metadata.push_back(&input.file->metadata());
    const NetworkFacts facts{.v2 = request.v2 ? request.v2 : first_entry(metadata, "ss_v2"),
                             .base_model_version = first_entry(metadata, "ss_base_model_version"),
                             .dim = result.network_dim,
                             .alpha = result.network_alpha};
    Metadata entries = network_entries(facts);
    if (request.has_model_spec) {
      const bool is_v2 = facts.v2 == "True";
      const FamilyIdentity identity = request.identity.value_or(sd_identity(is_v2, is_v2));
      entries.merge(tool_model_spec(identity, /*is_lora=*/true, request.save_to, merged_from(files)));
    }
    write_lora(request.save_to, result.tensors, entries);
  }
  log::info("wrote {} in {:.1f} s", summary, seconds_since(start));
  return 0;
}

int run_merge(const MergeLoraOptions& options, MergeCommand command) {
  const bool is_sdxl = command == MergeCommand::sdxl_merge_lora, is_old = command == MergeCommand::merge_lora_old;
  const auto block_weights = parse_block_weights(options.lbws);
  if (!block_weights.empty() && block_weights.size() != options.models.size()) {
    throw UsageError(fmt::format("--models names {} files and --lbws {} lists; there must be one for each",
                                 options.models.size(), block_weights.size()));
  }
  if (options.sd_model && (options.concat || options.shuffle)) {
    throw UsageError(fmt::format("--{} is for LoRAs merged with one another: leave it or --sd_model out",
                                 options.concat ? "concat" : "shuffle"));
  }
  std::vector<MergeInput> inputs = open_merge_inputs(options.models, options.ratios);
  for (size_t i = 0; i < block_weights.size(); ++i) inputs[i].block_weights = &block_weights[i];
  const c10::ScalarType precision = parse_precision(options.precision, "--precision");
  const c10::ScalarType save_dtype = parse_precision(options.save_precision, "--save_precision").value_or(precision);
  const MergeRules rules{.precision = precision,
                         .block_names_of_sdxl = is_sdxl,
                         .attention_only = is_old,
                         .oft_ignores_strength = options.reference_quirks};
  if (options.sd_model) {
    const auto identity = identify_checkpoint(*open_weights(*options.sd_model));
    if (options.v2 && identity && identity->name != sd_identity(true, true).name) {
      throw UsageError(fmt::format("{}: this is {}: leave out --v2", *options.sd_model, identity->name));
    }
    return merge_into_checkpoints({.outputs = {{.option = "--sd_model",
                                                .file = *options.sd_model,
                                                .save_option = "--save_to",
                                                .save_to = options.save_to,
                                                .has_metadata = !options.no_metadata && !is_old,
                                                .has_training_counts = true}},
                                   .inputs = std::move(inputs),
                                   .rules = rules,
                                   .save_dtype = save_dtype,
                                   .dry_run = options.run.dry_run});
  }
  LoraMergeRequest request{.save_to = options.save_to, .inputs = std::move(inputs), .rules = rules};
  request.combination = is_old ? Combination::add_old : options.concat ? Combination::concatenate : Combination::add;
  request.save_dtype = save_dtype;
  request.shuffle = options.shuffle;
  request.has_metadata = !is_old;
  request.has_model_spec = !options.no_metadata;
  std::vector<std::string> modules;
  for (const MergeInput& input : request.inputs) {
    const auto names = input.file->module_names();
    modules.insert(modules.end(), names.begin(), names.end());
  }
  request.identity = family_identity(is_sdxl ? "Stable Diffusion XL" : lora_family_name(modules));
  request.dry_run = options.run.dry_run;
  return merge_loras(request);
}

}  // namespace difftune
