#include "options/tools/lora_size_options.h"

#include "options/option_table.h"

namespace difftune {
namespace {

constexpr const char* kNoDevice =
    "the work is done on the thin factors and takes seconds, so that a GPU would not help";

}  // namespace

OptionTable describe(ResizeLoraOptions& options) {
  OptionTable table;
  table.group("Files");
  table.add("model", &options.model, "The LoRA to make smaller.", {.metavar = "FILE", .required = true});
  describe_save_to(options.save_to, table);
  describe_save_precision(options.save_precision, "float", table);
  table.group("Ranks");
  table.add("new_rank", &options.new_rank, "Rank of every module, or the most that --dynamic_method may choose.",
            {.minimum = 1});
  table.add("new_conv_rank", &options.new_conv_rank, "The same for convolutions; --new_rank without it.",
            {.minimum = 1});
  table.add(
      "dynamic_method", &options.dynamic_method,
      "Choose each module's rank by its singular values: those above the largest / --dynamic_param (sv_ratio), or "
      "as many as have this share of the Frobenius norm (sv_fro) or of the sum (sv_cumulative).",
      {.choices = {"sv_ratio", "sv_fro", "sv_cumulative"}});
  table.add("dynamic_param", &options.dynamic_param, "The ratio or share of --dynamic_method.");
  table.group("Report");
  table.add("verbose", &options.verbose, "Print what every module keeps.");
  table.group("Where it works");
  table.add("device", &options.device, "Where the singular values are computed.", {.metavar = "DEVICE"});
  table.no_effect("device", kNoDevice);
  describe(options.run, table);
  return table;
}

OptionTable describe(SvdMergeLoraOptions& options) {
  OptionTable table;
  table.group("Files");
  table.add("models", &options.models, "LoRAs to add up; their ranks may differ.",
            {.metavar = "FILE ...", .required = true});
  table.add("ratios", &options.ratios, "Strength of each file of --models.");
  describe_save_to(options.save_to, table);
  describe_precisions(options.precision, options.save_precision, "that the files are read in", table);
  table.group("Ranks");
  table.add("new_rank", &options.new_rank, "Rank of the result.", {.minimum = 1});
  table.add("new_conv_rank", &options.new_conv_rank, "Rank of convolutions larger than 1x1; --new_rank without it.",
            {.minimum = 1});
  describe_exact_svd(options.exact_svd, table);
  describe_block_weights(options.lbws, "12 or 20 numbers for SDXL, 17 or 26 for SD 1.x and 2.x", table);
  describe_lora_metadata(options.no_metadata, table);
  table.group("Where it works");
  table.add("device", &options.device, "Where the singular values are computed.", {.metavar = "DEVICE"});
  table.no_effect("device", kNoDevice);
  describe(options.run, table);
  return table;
}

OptionTable describe(ExtractLoraFromDyloraOptions& options) {
  OptionTable table;
  table.group("Files");
  table.add("model", &options.model, "The DyLoRA to split.", {.metavar = "FILE", .required = true});
  table.add("save_to", &options.save_to,
            "Name of the files to write; -0004 and so on, the rank, is put before the extension.",
            {.metavar = "FILE", .required = true});
  table.group("Ranks");
  table.add("unit", &options.unit, "Write a LoRA of this rank, of twice this rank, and so on, below the file's.",
            {.minimum = 1});
  describe(options.run, table);
  return table;
}

}  // namespace difftune
