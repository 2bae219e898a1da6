#include "options/inference/lumina_minimal_inference_options.h"

namespace difftune {

OptionTable describe(LuminaMinimalInferenceOptions& options) {
  OptionTable table;
  table.group("Model");
  table.add("pretrained_model_name_or_path", &options.pretrained_model_name_or_path,
            "The transformer: a file in the authors' layout.", {.metavar = "FILE", .required = true});
  table.add("gemma2_path", &options.gemma2_path, "File with the text encoder Gemma 2 2B.",
            {.metavar = "FILE", .required = true});
  table.add("ae_path", &options.ae_path, "File with the autoencoder.", {.metavar = "FILE", .required = true});
  describe(options.picture, table);
  table.group("Text encoder");
  table.add("system_prompt", &options.system_prompt, "Text before the prompt.");
  table.add("add_system_prompt_to_negative_prompt", &options.add_system_prompt_to_negative_prompt,
            "Put it before the negative prompt too.");
  table.add("gemma2_max_token_length", &options.gemma2_max_token_length, "Tokens of a prompt that Gemma sees.",
            {.unit = "tokens", .minimum = 1, .maximum = 299});
  table.group("Picture");
  table.add("negative_prompt", &options.negative_prompt, "What the picture does not show.");
  describe_size(options.image_width, options.image_height, table, "image_");
  table.add("steps", &options.steps, "Steps of the sampler.", step_traits());
  table.add("guidance_scale", &options.guidance_scale, "Strength of the prompt over the negative prompt.");
  table.add("cfg_trunc_ratio", &options.cfg_trunc_ratio,
            "Share of the way from noise to picture on which the negative prompt acts.", {.minimum = 0});
  table.add("renorm_cfg", &options.renorm_cfg,
            "How large the guided prediction may be, as a multiple of the one without guidance; 0: no limit.",
            {.minimum = 0});
  table.add("discrete_flow_shift", &options.discrete_flow_shift, "Shift of the steps towards noise.");
  table.add("seed", &options.seed, "Start of the noise; drawn and logged without it.", seed_traits());
  table.group("Precision and memory");
  table.add(
      "dtype", &options.dtype,
      "Number format of the transformer: bf16, fp16, float32, or fp8 for matrices that are kept in 8 bits and computed "
      "with in bfloat16.",
      {.metavar = "TYPE"});
  table.add("gemma2_dtype", &options.gemma2_dtype, "Number format of Gemma, the same.", {.metavar = "TYPE"});
  table.add("ae_dtype", &options.ae_dtype, "Number format of the autoencoder.", {.metavar = "TYPE"});
  table.add("device", &options.device, "cpu, cuda or cuda:0; without it the GPU where there is one.",
            {.metavar = "DEVICE"});
  table.add("use_flash_attn", &options.use_flash_attn, "Compute attention with the flash-attn package.");
  table.no_effect("use_flash_attn", "attention is always computed in this way");
  table.add("use_sage_attn", &options.use_sage_attn, "Compute attention in 8 bits with the sageattention package.");
  table.later("use_sage_attn", "SageAttention is a Python package; leave it out");
  describe_memory(options.picture, table);
  return table;
}

}  // namespace difftune
