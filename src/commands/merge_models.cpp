#include "commands/merge_models.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/log.h"
#include "commands/run_tool.h"
#include "commands/write_planned.h"
#include "options/tools/tool_options.h"
#include "weight_tools/merge_models.h"
#include "weight_tools/precision.h"

namespace difftune {
namespace {

struct Options {
  std::vector<std::string> models;
  std::string output;
  std::vector<double> ratios;
  bool unet_only = false;
  std::string device = "cpu";
  std::string precision = "float";
  std::string saving_precision = "float";
  bool show_skipped = false;
  ToolRunOptions run;
  bool reference_quirks = false;
};

OptionTable describe(Options& options) {
  const std::vector<std::string> precisions = {"float", "fp16", "bf16"};
  OptionTable table;
  table.group("Options");
  table.add("models", &options.models, "The checkpoints to merge: .safetensors or .ckpt, of one architecture.",
            {.metavar = "FILE ...", .required = true});
  table.add("output", &options.output, "The file to write; .safetensors is added where it is missing.",
            {.metavar = "FILE", .required = true});
  table.add("ratios", &options.ratios, "The factor of each model; without it all are the same and 1 in total.");
  table.add("unet_only", &options.unet_only, "Take VAE and text encoders from the first model alone.");
  table.add("device", &options.device, "Device that computes.", {.metavar = "DEVICE"});
  table.no_effect("device", "the sums are as fast as the disk on any processor");
  table.add("precision", &options.precision, "Precision of the sums.", {.choices = precisions});
  table.add("saving_precision", &options.saving_precision, "Precision of the file.", {.choices = precisions});
  table.add("show_skipped", &options.show_skipped, "List the tensors that the first model lacks, which are left out.");
  describe(options.run, table);
  table.add("reference_quirks", &options.reference_quirks,
            "Where a model's text encoder is named without text_model, add the first model's once more, as sd-scripts "
            "does.");
  return table;
}

CommandPage page() {
  return {.name = "merge_models",
          .summary = std::string(kMergeModelsSummary),
          .example =
              "difftune merge_models --models first.safetensors second.safetensors --ratios 0.7 0.3 --output "
              "merged.safetensors --saving_precision fp16"};
}

void report_missing(const MergeModelsPlan& plan, const Options& options) {
  constexpr size_t kMaxNamed = 5;
  if (!plan.missing_in_some.empty()) {
    const auto end = plan.missing_in_some.begin() + std::min(plan.missing_in_some.size(), kMaxNamed);
    log::warning("{} tensors are not in all models; the first model's count instead: {}{}", plan.missing_in_some.size(),
                 fmt::join(plan.missing_in_some.begin(), end, ", "),
                 plan.missing_in_some.size() > kMaxNamed ? ", ..." : "");
  }
  if (options.show_skipped) {
    for (const std::string& key : plan.skipped) log::info("skipped: {}", key);
  }
}

int work(Options& options) {
  MergeModelsRequest request;
  request.models.assign(options.models.begin(), options.models.end());
  request.ratios = options.ratios;
  request.unet_only = options.unet_only;
  request.compute_dtype = parse_precision(options.precision, "--precision");
  request.save_dtype = parse_precision(options.saving_precision, "--saving_precision");
  request.reference_quirks = options.reference_quirks;
  CheckpointOutput output;
  output.path = options.output.ends_with(".safetensors") ? options.output : options.output + ".safetensors";
  require_new_file(output.path, request.models, "--output");

  const MergeModelsPlan plan = plan_merge_models(request);
  report_missing(plan, options);
  double total = 0;
  for (const double ratio : request.ratios) total += ratio;
  if (!request.ratios.empty() && std::abs(total - 1) > 1e-6) log::warning("the ratios are {} in total, not 1", total);
  const std::string what =
      fmt::format("{} tensors of {} models into {} ({}, {}): {} merged, {} of the first model alone, {} left out",
                  plan.recipes.size(), request.models.size(), output.path.string(), options.saving_precision,
                  display_bytes(total_bytes(plan.recipes)), plan.num_merged + plan.missing_in_some.size(),
                  plan.num_first_only, plan.skipped.size());
  return write_planned(output, plan.recipes, {"merge", "merging", "merged"}, what, options.run.dry_run);
}

}  // namespace

int run_merge_models(std::span<const std::string> words) { return run_tool<Options>(page(), words, work); }
std::string merge_models_page() { return tool_page<Options>(page()); }

}  // namespace difftune
