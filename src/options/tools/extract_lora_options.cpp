#include "options/tools/extract_lora_options.h"

#include "options/option_table.h"

namespace difftune {
namespace {

void describe_files(FluxExtractLoraOptions& options, OptionTable& table) {
  table.group("Files");
  table.add("model_org", &options.model_org, "The original checkpoint.", {.metavar = "FILE", .required = true});
  table.add("model_tuned", &options.model_tuned, "The tuned checkpoint; the LoRA leads from the original to it.",
            {.metavar = "FILE", .required = true});
  describe_save_to(options.save_to, table);
}

void describe_accuracy(FluxExtractLoraOptions& options, OptionTable& table) {
  table.add("clamp_quantile", &options.clamp_quantile,
            "Clamp the factors of each layer to this quantile of their values; 1 clamps nothing.",
            {.minimum = 0, .maximum = 1});
  describe_exact_svd(options.exact_svd, table);
}

void describe_rest(FluxExtractLoraOptions& options, OptionTable& table) {
  describe_lora_metadata(options.no_metadata, table);
  table.group("Where it works");
  table.add("device", &options.device, "Where the singular values are computed.", {.metavar = "DEVICE"});
  table.no_effect("device", "singular values are computed on the processor, which takes seconds");
}

}  // namespace

OptionTable describe(FluxExtractLoraOptions& options) {
  OptionTable table;
  describe_files(options, table);
  describe_save_precision(options.save_precision, "float", table);
  table.group("The LoRA");
  table.add("dim", &options.dim, "Rank.", {.minimum = 1});
  describe_accuracy(options, table);
  describe_rest(options, table);
  table.add("mem_eff_safe_open", &options.mem_eff_safe_open, "Read the files in little memory.");
  table.no_effect("mem_eff_safe_open", "files are mapped and read layer by layer in any case");
  describe(options.run, table);
  return table;
}

OptionTable describe(ExtractLoraFromModelsOptions& options) {
  OptionTable table;
  describe_files(options, table);
  table.add("v2", &options.v2, "The checkpoints are Stable Diffusion 2.x (seen from the tensors in any case).");
  table.add("v_parameterization", &options.v_parameterization,
            "The models predict velocity, for the metadata; so do those of SD 2.x without it.");
  table.add("sdxl", &options.sdxl, "The checkpoints are SDXL (seen from the tensors in any case).");
  table.group("Precision");
  table.add("load_precision", &options.load_precision,
            "Round both checkpoints to this number format before they are compared.", {.choices = tool_precisions()});
  describe_save_precision(options.save_precision, "float", table);
  table.group("The LoRA");
  table.add("dim", &options.dim, "Rank.", {.minimum = 1});
  table.add("conv_dim", &options.conv_dim,
            "Rank of 3x3 convolutions; without it they, and all residual blocks, are left out.", {.minimum = 1});
  table.add("min_diff", &options.min_diff,
            "Leave the text encoders out where none of their weights differs by more than this.");
  describe_accuracy(options, table);
  describe_rest(options, table);
  table.add("load_original_model_to", &options.load_original_model_to, "Where the original SDXL model is loaded.",
            {.metavar = "DEVICE"});
  table.add("load_tuned_model_to", &options.load_tuned_model_to, "Where the tuned SDXL model is loaded.",
            {.metavar = "DEVICE"});
  table.no_effect("load_original_model_to", "the model is mapped, not loaded");
  table.no_effect("load_tuned_model_to", "the model is mapped, not loaded");
  describe(options.run, table);
  return table;
}

}  // namespace difftune
