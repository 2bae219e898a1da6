#include "commands/merge_sd3_safetensors.h"

#include <fmt/ranges.h>

#include "base/log.h"
#include "commands/run_tool.h"
#include "commands/write_planned.h"
#include "options/tools/tool_options.h"
#include "weight_tools/merge_sd3_safetensors.h"
#include "weight_tools/precision.h"

namespace difftune {
namespace {

struct Options {
  std::string dit;
  std::optional<std::string> vae, clip_l, clip_g, t5xxl;
  std::string output = "merged_model.safetensors";
  std::string device = "cpu";
  std::optional<std::string> save_precision;
  ToolRunOptions run;
};

OptionTable describe(Options& options) {
  const OptionTraits file = {.metavar = "FILE"};
  OptionTable table;
  table.group("Options");
  table.add("dit", &options.dit, "The DiT (MMDiT), with the VAE in it or without.",
            {.metavar = "FILE", .required = true});
  table.add("vae", &options.vae, "The VAE, where the DiT's file does not have it.", file);
  table.add("clip_l", &options.clip_l, "The CLIP-L text encoder.", file);
  table.add("clip_g", &options.clip_g, "The CLIP-G text encoder.", file);
  table.add("t5xxl", &options.t5xxl, "The T5-XXL text encoder.", file);
  table.add("output", &options.output, "The file to write.", file);
  table.add("device", &options.device, "Device that holds the tensors.", {.metavar = "DEVICE"});
  table.no_effect("device", "tensors go from file to file one at a time");
  table.add("save_precision", &options.save_precision,
            "Precision of the file: float, fp16, bf16, fp8_e4m3fn or fp8_e5m2; without it tensors stay as they are.",
            {.metavar = "DTYPE"});
  describe(options.run, table);
  return table;
}

CommandPage page() {
  return {.name = "merge_sd3_safetensors",
          .summary = std::string(kMergeSd3SafetensorsSummary),
          .example =
              "difftune merge_sd3_safetensors --dit sd3.5_medium.safetensors --clip_l clip_l.safetensors --clip_g "
              "clip_g.safetensors --t5xxl t5xxl_fp16.safetensors --output sd3.5_all.safetensors"};
}

int work(Options& options) {
  MergeSd3Request request{options.dit,    options.vae,   options.clip_l,
                          options.clip_g, options.t5xxl, parse_precision(options.save_precision, "--save_precision")};
  std::vector<fs::path> inputs = {request.dit};
  for (const auto& part : {request.vae, request.clip_l, request.clip_g, request.t5xxl}) {
    if (part) inputs.push_back(*part);
  }
  require_new_file(options.output, inputs, "--output");

  const MergeSd3Plan plan = plan_merge_sd3(request);
  if (!plan.has_mmdit) {
    log::warning("{}: has no blocks of a Stable Diffusion 3 model (joint_blocks)", request.dit.string());
  }
  std::vector<std::string> parts;
  for (const auto& part : plan.parts) parts.push_back(fmt::format("{} ({} tensors)", part.name, part.num_tensors));
  const std::string what = fmt::format("{} into {}: {} tensors, {}", fmt::join(parts, ", "), options.output,
                                       plan.recipes.size(), display_bytes(total_bytes(plan.recipes)));
  CheckpointOutput output{.path = options.output, .metadata = plan.metadata, .style = SafetensorsStyle::in_order};
  return write_planned(output, plan.recipes, {"join", "joining", "joined"}, what, options.run.dry_run);
}

}  // namespace

int run_merge_sd3_safetensors(std::span<const std::string> words) { return run_tool<Options>(page(), words, work); }
std::string merge_sd3_safetensors_page() { return tool_page<Options>(page()); }

}  // namespace difftune
