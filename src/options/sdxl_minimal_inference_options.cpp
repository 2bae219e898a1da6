#include "options/sdxl_minimal_inference_options.h"

namespace difftune {

OptionTable describe(SdxlMinimalInferenceOptions& options) {
  OptionTable table;
  table.group("Model");
  table.add("ckpt_path", &options.ckpt_path,
            "The SDXL model: a .safetensors or .ckpt file, or a folder in diffusers layout.",
            {.metavar = "PATH", .required = true});
  table.add("lora_weights", &options.lora_weights,
            "LoRA files merged into the model, each with its multiplier behind a semicolon: style.safetensors;0.8.",
            {.metavar = "FILE;X ..."});
  table.add("tokenizer_cache_dir", &options.tokenizer_cache_dir, "Folder where tokenizer files are looked for first.",
            {.metavar = "DIR"});
  table.group("Picture");
  table.add("prompt", &options.prompt, "What the picture shows.");
  table.add("prompt2", &options.prompt2, "What the second text encoder reads; --prompt without it.");
  table.add("negative_prompt", &options.negative_prompt, "What the picture does not show.");
  table.add("width", &options.width, "Width of the picture; a multiple of 8.", {.unit = "px", .minimum = 64});
  table.add("height", &options.height, "Height of the picture; a multiple of 8.", {.unit = "px", .minimum = 64});
  table.add("steps", &options.steps, "Steps of the Euler sampler.", {.unit = "steps", .minimum = 1, .maximum = 1000});
  table.add("guidance_scale", &options.guidance_scale, "Strength of the prompt over the negative prompt.");
  table.add("seed", &options.seed, "Start of the noise; drawn and logged without it.",
            {.minimum = 0, .maximum = 4294967295.0});
  table.add("interactive", &options.interactive, "Ask for prompts until one is empty.");
  table.add("output_dir", &options.output_dir, "Folder for the picture.", {.metavar = "DIR"});
  return table;
}

}  // namespace difftune
