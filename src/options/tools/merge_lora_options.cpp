#include "options/tools/merge_lora_options.h"

#include "options/option_table.h"

namespace difftune {
namespace {

const std::vector<std::string> kPrecisions = {"float", "fp16", "bf16"};

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
  table.add("save_to", &options.save_to, "The file to write: .safetensors, or .ckpt or .pt for a PyTorch file.",
            {.metavar = "FILE", .required = true});
}

void describe_precision(MergeLoraOptions& options, OptionTable& table) {
  table.group("Precision");
  table.add("precision", &options.precision, "Number format of the sums.", {.choices = kPrecisions});
  table.add("save_precision", &options.save_precision, "Number format of the file; that of --precision without it.",
            {.choices = kPrecisions});
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
  describe_precision(options, table);
  describe_combination(options, table);
  describe_metadata(options, table);
  describe(options.run, table);
  return table;
}

OptionTable describe(SdxlMergeLoraOptions& options) {
  OptionTable table;
  describe_files(options, table);
  describe_precision(options, table);
  table.group("Block weights");
  table.add("lbws", &options.lbws,
            "For each file of --models a list of factors for the blocks of the U-Net, such as "
            "\"[1,0,0,0,1,1,1,1,1,1,1,1]\"; 12 or 20 numbers.",
            {.metavar = "LIST ..."});
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
  describe_precision(options, table);
  describe(options.run, table);
  return table;
}

}  // namespace difftune
