#include "options/inference/sd3_minimal_inference_options.h"

namespace difftune {

OptionTable describe(Sd3MinimalInferenceOptions& options) {
  OptionTable table;
  table.group("Model");
  table.add("ckpt_path", &options.ckpt_path,
            "The model: a file with the transformer, the VAE and perhaps the encoders.",
            {.metavar = "FILE", .required = true});
  table.add("clip_l", &options.clip_l, "File with the text encoder CLIP ViT-L, where the checkpoint has none.",
            {.metavar = "FILE"});
  table.add("clip_g", &options.clip_g, "File with the text encoder CLIP ViT-bigG, where the checkpoint has none.",
            {.metavar = "FILE"});
  table.add("t5xxl", &options.t5xxl, "File with the text encoder T5 v1.1 XXL, where the checkpoint has none.",
            {.metavar = "FILE"});
  table.add("vae", &options.vae, "File with the VAE, where the checkpoint has none.", {.metavar = "FILE"});
  table.add("t5xxl_token_length", &options.t5xxl_token_length, "Tokens of a prompt that T5 sees.",
            {.unit = "tokens", .minimum = 1, .maximum = 4096});
  table.add("apply_lg_attn_mask", &options.apply_lg_attn_mask, "Hide the padding behind a prompt from CLIP.");
  table.add("apply_t5_attn_mask", &options.apply_t5_attn_mask, "Hide the padding behind a prompt from T5.");
  describe(options.picture, table);
  table.group("Picture");
  table.add("negative_prompt", &options.negative_prompt, "What the picture does not show.");
  describe_size(options.width, options.height, table);
  table.add("steps", &options.steps, "Steps of the sampler.", step_traits());
  table.add("cfg_scale", &options.cfg_scale, "Strength of the prompt over the negative prompt.");
  table.add("seed", &options.seed, "Start of the noise.", seed_traits());
  table.group("Precision and memory");
  table.add("fp16", &options.fp16, "Compute in float16 instead of float32; on a GPU.");
  table.add("bf16", &options.bf16, "Compute in bfloat16 instead of float32.");
  describe_memory(options.picture, table);
  return table;
}

}  // namespace difftune
