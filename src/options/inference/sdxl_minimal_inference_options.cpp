#include "options/inference/sdxl_minimal_inference_options.h"

namespace difftune {

OptionTable describe(SdxlMinimalInferenceOptions& options) {
  OptionTable table;
  table.group("Model");
  table.add("ckpt_path", &options.ckpt_path,
            "The SDXL model: a .safetensors or .ckpt file, or a folder in diffusers layout.",
            {.metavar = "PATH", .required = true});
  table.add("vae", &options.vae, "File or folder with another VAE.", {.metavar = "PATH"});
  describe(options.picture, table);
  table.group("Picture");
  table.add("prompt2", &options.prompt2, "What the second text encoder reads; --prompt without it.");
  table.add("negative_prompt", &options.negative_prompt, "What the picture does not show.");
  describe_size(options.width, options.height, table);
  table.add("steps", &options.steps, "Steps of the Euler sampler.", step_traits());
  table.add("guidance_scale", &options.guidance_scale, "Strength of the prompt over the negative prompt.");
  table.add("seed", &options.seed, "Start of the noise; drawn and logged without it.", seed_traits());
  return table;
}

}  // namespace difftune
