#include "options/tools/flux_merge_lora_options.h"

#include "options/option_table.h"

namespace difftune {

OptionTable describe(FluxMergeLoraOptions& options) {
  OptionTable table;
  table.group("Files");
  table.add("flux_model", &options.flux_model,
            "FLUX.1 or Chroma transformer that the LoRAs are merged into; without it, --clip_l and --t5xxl they are "
            "merged into one LoRA.",
            {.metavar = "FILE"});
  table.add("clip_l", &options.clip_l, "CLIP-L text encoder that the LoRAs are merged into.", {.metavar = "FILE"});
  table.add("t5xxl", &options.t5xxl, "T5 text encoder that the LoRAs are merged into.", {.metavar = "FILE"});
  table.add("models", &options.models,
            "Adapter files: LoRA of any naming (sd-scripts, BFL, Diffusers, PEFT), and for a model also LoHa, LoKr and "
            "DoRA.",
            {.metavar = "FILE ...", .required = true});
  table.add("ratios", &options.ratios, "Strength of each file of --models.");
  table.add("save_to", &options.save_to, "The .safetensors file to write for the transformer, or the LoRA.",
            {.metavar = "FILE"});
  table.add("clip_l_save_to", &options.clip_l_save_to, "The file to write for CLIP-L.", {.metavar = "FILE"});
  table.add("t5xxl_save_to", &options.t5xxl_save_to, "The file to write for T5.", {.metavar = "FILE"});
  table.add("diffusers", &options.diffusers,
            "The LoRAs have Diffusers' names (seen from the file in any case); not with --clip_l and --t5xxl.");
  table.group("Precision");
  table.add("precision", &options.precision, "Number format of the sums: float, fp16 or bf16.", {.metavar = "NAME"});
  table.add("save_precision", &options.save_precision,
            "Number format of the file: float, fp16, bf16, fp8_e4m3fn or fp8_e5m2; that of --precision without it.",
            {.metavar = "NAME"});
  table.group("LoRAs merged with one another");
  table.add("concat", &options.concat,
            "Put the factors side by side: the exact sum, with the sum of the ranks, whatever they are.");
  table.add("shuffle", &options.shuffle, "Put the ranks of each module into a random order.");
  table.group("Metadata of the saved file");
  table.add("no_metadata", &options.no_metadata,
            "Write no modelspec entries; a LoRA keeps the few that loading needs.");
  table.group("Where it works");
  table.add("mem_eff_load_save", &options.mem_eff_load_save, "Load and save in little memory.");
  table.add("loading_device", &options.loading_device, "Where the model is loaded.", {.metavar = "DEVICE"});
  table.add("working_device", &options.working_device, "Where the sums are computed.", {.metavar = "DEVICE"});
  table.no_effect("mem_eff_load_save", "files are mapped and written tensor by tensor in any case");
  table.no_effect("loading_device", "the model is mapped, not loaded");
  table.no_effect("working_device", "the sums take less time than reading the file, so that a GPU would not help");
  describe(options.run, table);
  return table;
}

}  // namespace difftune
