#include "options/groups/model.h"

#include "options/option_table.h"

namespace difftune {

void describe(ModelOptions& options, OptionTable& table) {
  table.group("Model");
  table.add("pretrained_model_name_or_path", &options.pretrained_model_name_or_path,
            "The model to start from: a .safetensors or .ckpt file, or a folder in diffusers layout.",
            {.metavar = "PATH", .required = true});
  table.add("v2", &options.v2, "The model is of the Stable Diffusion 2 family.");
  table.add("v_parameterization", &options.v_parameterization,
            "The model predicts velocity (v) instead of noise, e.g. the 768-pixel SD 2 models.");
  table.add("vae", &options.vae, "A VAE to use instead of the model's own: a file or a diffusers folder.",
            {.metavar = "PATH"});
  table.add("no_half_vae", &options.no_half_vae, "Keep the VAE in fp32 when the rest is fp16 or bf16.");
  table.add("tokenizer_cache_dir", &options.tokenizer_cache_dir,
            "Folder where tokenizer files are looked for first, so that no network is needed.", {.metavar = "DIR"});
  table.add("lowram", &options.lowram, "Load models straight to the GPU, for machines with little main memory.");
  table.add("highvram", &options.highvram, "Do not empty the GPU's memory cache between batches of latents.");
}

}  // namespace difftune
