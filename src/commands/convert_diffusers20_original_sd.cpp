#include "commands/convert_diffusers20_original_sd.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/log.h"
#include "commands/run_tool.h"
#include "commands/write_planned.h"
#include "options/tools/tool_options.h"
#include "weight_tools/convert_sd.h"
#include "weight_tools/precision.h"
#include "weights/open_weights.h"

namespace difftune {
namespace {

struct Options {
  bool v1 = false, v2 = false;
  bool unet_use_linear_projection = false;
  bool fp16 = false, bf16 = false, is_float = false;
  std::string save_precision_as = "no";
  int64_t epoch = 0, global_step = 0;
  std::optional<std::string> metadata, variant, reference_model;
  bool use_safetensors = false;
  std::string model_to_load, model_to_save;
  ToolRunOptions run;
};

OptionTable describe(Options& options) {
  OptionTable table;
  table.group("Options");
  table.add("model_to_load", &options.model_to_load, "The checkpoint file or Diffusers folder to convert.",
            {.required = true, .positional = true});
  table.add("model_to_save", &options.model_to_save,
            "What to write: a file with the ending .safetensors or .ckpt, or a Diffusers folder without one.",
            {.required = true, .positional = true});
  table.add("v1", &options.v1, "The model is Stable Diffusion 1.x. Looked up where it is not given.");
  table.add("v2", &options.v2, "The model is Stable Diffusion 2.x. Looked up where it is not given.");
  table.add("unet_use_linear_projection", &options.unet_use_linear_projection,
            "In a Diffusers folder of 2.x, proj_in and proj_out are matrices, as in Stability AI's, not 1x1 "
            "convolutions.");
  table.add("fp16", &options.fp16, "Write the checkpoint in fp16; read a Diffusers folder as fp16.");
  table.add("bf16", &options.bf16, "Write the checkpoint in bf16.");
  table.add("float", &options.is_float, "Write the checkpoint in fp32, as without any of these.");
  table.add("save_precision_as", &options.save_precision_as,
            "Precision of the checkpoint, in place of the three options before.",
            {.choices = {"fp16", "bf16", "float"}});
  table.add("epoch", &options.epoch, "Number of the epoch that is written into a .ckpt.");
  table.add("global_step", &options.global_step, "Number of the step that is written into a .ckpt.");
  table.add("metadata", &options.metadata,
            "Metadata of a .safetensors file: texts, as a Python dictionary or JSON, e.g. '{\"name\": \"my model\"}'.",
            {.metavar = "DICT"});
  table.add("variant", &options.variant, "Variant of the Diffusers folder's files, e.g. fp16.");
  table.add("reference_model", &options.reference_model,
            "Diffusers folder whose scheduler and tokenizer go into the one that is written. Without it they are those "
            "of Stable Diffusion 1.5 or 2.1.",
            {.metavar = "DIR"});
  table.add("use_safetensors", &options.use_safetensors, "Write a Diffusers folder with .safetensors instead of .bin.");
  describe(options.run, table);
  return table;
}

CommandPage page() {
  return {.name = "convert_diffusers20_original_sd",
          .summary = std::string(kConvertDiffusers20OriginalSdSummary),
          .example = "difftune convert_diffusers20_original_sd --use_safetensors model.safetensors model_diffusers"};
}

// Reads a dictionary of texts. Python's single quotes become JSON's where a text has no quotes in it.
Metadata parse_metadata(const std::string& text) {
  nlohmann::json value = nlohmann::json::parse(text, nullptr, false);
  if (value.is_discarded() && text.find('"') == text.npos && text.find('\\') == text.npos) {
    std::string json = text;
    std::replace(json.begin(), json.end(), '\'', '"');
    value = nlohmann::json::parse(json, nullptr, false);
  }
  const bool is_texts =
      value.is_object() && std::all_of(value.begin(), value.end(), [](const auto& entry) { return entry.is_string(); });
  if (!is_texts) throw UsageError(fmt::format("--metadata {}: expected a dictionary of texts", text));
  return value.get<Metadata>();
}

std::optional<c10::ScalarType> save_dtype(const Options& options) {
  if (options.fp16 || options.save_precision_as == "fp16") return c10::ScalarType::Half;
  if (options.bf16 || options.save_precision_as == "bf16") return c10::ScalarType::BFloat16;
  if (options.is_float || options.save_precision_as == "float") return c10::ScalarType::Float;
  return std::nullopt;
}

int convert_to_file(const Options& options, const ConvertSdRequest& request) {
  CheckpointOutput output{.path = options.model_to_save};
  require_new_file(output.path, std::vector<fs::path>{request.input}, "model_to_save");
  if (options.metadata) output.metadata = parse_metadata(*options.metadata);
  const SdFilePlan plan = plan_sd_file(request);
  output.torch.state_dict_beside = plan.beside;
  const std::string what =
      fmt::format("{} (Stable Diffusion {}) into {}: {} tensors, {}", options.model_to_load, plan.is_v2 ? "2.x" : "1.x",
                  options.model_to_save, plan.recipes.size(), display_bytes(total_bytes(plan.recipes)));
  return write_planned(output, plan.recipes, {"convert", "converting", "converted"}, what, options.run.dry_run);
}

int convert_to_folder(const Options& options, const ConvertSdRequest& request) {
  const fs::path path = options.model_to_save;
  std::error_code ec;
  if (fs::equivalent(path, request.input, ec)) {
    fail("model_to_save {}: is also the input, which would be overwritten; choose another name", path.string());
  }
  if (fs::exists(path, ec) && !fs::is_empty(path, ec) && !is_diffusers_folder(path)) {
    fail("model_to_save {}: is there already and no Diffusers folder; choose another name", path.string());
  }
  const SdFolderPlan plan = plan_sd_folder(request, options.reference_model);
  std::vector<TensorRecipe> all;
  for (const auto& component : plan.components) {
    all.insert(all.end(), component.recipes.begin(), component.recipes.end());
  }
  require_free_space(path, all);
  const std::string what = fmt::format(
      "{} (Stable Diffusion {}) into the Diffusers folder {}: {} tensors, {}; scheduler and tokenizer of {}",
      options.model_to_load, plan.is_v2 ? "2.x" : "1.x", path.string(), all.size(), display_bytes(total_bytes(all)),
      options.reference_model.value_or(plan.is_v2 ? "Stable Diffusion 2.1 (v-prediction)" : "Stable Diffusion 1.5"));
  if (options.run.dry_run) {
    log::info("would convert {}", what);
    return 0;
  }
  write_sd_folder(path, plan, options.use_safetensors);
  log::info("converted {}", what);
  return 0;
}

int work(Options& options) {
  ConvertSdRequest request;
  request.input = options.model_to_load;
  request.variant = options.variant.value_or("");
  request.is_v1 = options.v1;
  request.is_v2 = options.v2;
  request.save_dtype = save_dtype(options);
  request.is_loaded_as_fp16 = options.fp16;
  request.uses_linear_projection = options.unet_use_linear_projection;
  request.epoch = options.epoch;
  request.global_step = options.global_step;
  std::string target = options.model_to_save;
  while (target.size() > 1 && target.ends_with('/')) target.pop_back();
  options.model_to_save = target;
  const std::string extension = fs::path(target).extension().string();
  if (extension.empty()) return convert_to_folder(options, request);
  if (extension != ".safetensors" && extension != ".ckpt" && extension != ".pt" && extension != ".bin") {
    throw UsageError(
        fmt::format("model_to_save {}: '{}' is no ending of a checkpoint; write .safetensors or .ckpt, or a folder "
                    "without a dot in "
                    "its name",
                    target, extension));
  }
  return convert_to_file(options, request);
}

}  // namespace

int run_convert_diffusers20_original_sd(std::span<const std::string> words) {
  return run_tool<Options>(page(), words, work);
}
std::string convert_diffusers20_original_sd_page() { return tool_page<Options>(page()); }

}  // namespace difftune
