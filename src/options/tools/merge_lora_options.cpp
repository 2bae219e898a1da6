#include "options/tools/merge_lora_options.h"

#include "options/option_table.h"

namespace difftune {
namespace {

void describe_files(MergeLoraOptions& options, OptionTable& table) {
  table.group("Files");
  table.add("sd_model", &options.sd_model,
            "Checkpoint that the LoRAs are merged into; without it they are merged into one LoRA.",
            {.metavar = "FILE"});
  table.add("models", &options.models,
            "Adapter files: LoRA of any naming (sd-scripts, ComfyUI, Diffusers, PEFT), and for a checkpoint also LoHa, "
            "LoKr, DoRA and OFT.",
            {.metavar = "FILE ...", .required = true});
  table.add("ratios", &options.ratios, "Strength of each file of --models.");
  describe_save_to(options.save_to, table);
}

void describe_combination(MergeLoraOptions& options, OptionTable& table) {
  table.group("LoRAs merged with one another");
  table.add("concat", &options.concat,
            "Put the factors side by side: the exact sum, with the sum of the ranks, whatever they are.");
  table.add("shuffle", &options.shuffle, "Put the ranks of each module into a random order.");
}

void describe_metadata(MergeLoraOptions& options, OptionTable& table) {
  table.group("Metadata of the saved file");
  table.add("no_metadata", &options.no_metadata,
            "Write no modelspec entries; a LoRA keeps the few that loading needs.");
}

}  // namespace

OptionTable describe(MergeLoraOptions& options) {
  OptionTable table;
  describe_files(options, table);
  table.add("v2", &options.v2, "The checkpoint is Stable Diffusion 2.x (seen from its tensors in any case).");
  describe_precisions(options.precision, options.save_precision, "of the sums", table);
  describe_combination(options, table);
  describe_metadata(options, table);
  describe(options.run, table);
  return table;
}

OptionTable describe(SdxlMergeLoraOptions& options) {
  OptionTable table;
  describe_files(options, table);
  describe_precisions(options.precision, options.save_precision, "of the sums", table);
  describe_block_weights(options.lbws, "12 or 20 numbers", table);
  describe_combination(options, table);
  describe_metadata(options, table);
  describe(options.run, table);
  table.add("reference_quirks", &options.reference_quirks,
            "Merge OFT with its full strength whatever --ratios and --lbws say, as sd-scripts does.");
  return table;
}

OptionTable describe(MergeLoraOldOptions& options) {
  OptionTable table;
  describe_files(options, table);
  table.add("v2", &options.v2, "The checkpoint is Stable Diffusion 2.x (seen from its tensors in any case).");
  describe_precisions(options.precision, options.save_precision, "of the sums", table);
  describe(options.run, table);
  return table;
}

}  // namespace difftune
