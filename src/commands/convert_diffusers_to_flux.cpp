#include "commands/convert_diffusers_to_flux.h"

#include "base/error.h"
#include "commands/run_tool.h"
#include "commands/write_planned.h"
#include "options/tools/tool_options.h"
#include "weight_tools/convert_diffusers_to_flux.h"
#include "weight_tools/precision.h"

namespace difftune {
namespace {

struct Options {
  std::string diffusers_path, save_to;
  bool mem_eff_load_save = false;
  std::optional<std::string> save_precision;
  ToolRunOptions run;
};

OptionTable describe(Options& options) {
  OptionTable table;
  table.group("Options");
  table.add("diffusers_path", &options.diffusers_path,
            "A Diffusers model, its transformer folder, or the first file of the transformer "
            "(...-00001-of-00003.safetensors).",
            {.metavar = "PATH", .required = true});
  table.add("save_to", &options.save_to, "The file to write.", {.metavar = "FILE", .required = true});
  table.add("mem_eff_load_save", &options.mem_eff_load_save,
            "Lay the file out as sd-scripts' memory-saving writer does: tensors in the order of the input. (Memory is "
            "saved in any case.)");
  table.add("save_precision", &options.save_precision,
            "Precision of the file: float, fp16, bf16, fp8_e4m3fn or fp8_e5m2; without it tensors stay as they are.",
            {.metavar = "DTYPE"});
  describe(options.run, table);
  return table;
}

CommandPage page() {
  return {.name = "convert_diffusers_to_flux",
          .summary = std::string(kConvertDiffusersToFluxSummary),
          .example =
              "difftune convert_diffusers_to_flux --diffusers_path FLUX.1-dev --save_to flux1-dev.safetensors "
              "--save_precision bf16"};
}

int work(Options& options) {
  CheckpointOutput output{.path = options.save_to};
  if (output.path.extension() != ".safetensors") {
    throw UsageError(fmt::format("--save_to {}: expected a name that ends in .safetensors", options.save_to));
  }
  if (options.mem_eff_load_save) output.style = SafetensorsStyle::in_order;
  const auto dtype = parse_precision(options.save_precision, "--save_precision");
  require_new_file(output.path, std::vector<fs::path>{options.diffusers_path}, "--save_to");

  const std::vector<TensorRecipe> recipes = plan_diffusers_to_flux(options.diffusers_path, dtype);
  const std::string what = fmt::format("{} into {}: {} tensors, {}", options.diffusers_path, options.save_to,
                                       recipes.size(), display_bytes(total_bytes(recipes)));
  return write_planned(output, recipes, {"convert", "converting", "converted"}, what, options.run.dry_run);
}

}  // namespace

int run_convert_diffusers_to_flux(std::span<const std::string> words) { return run_tool<Options>(page(), words, work); }
std::string convert_diffusers_to_flux_page() { return tool_page<Options>(page()); }

}  // namespace difftune
