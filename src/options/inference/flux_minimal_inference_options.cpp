#include "options/inference/flux_minimal_inference_options.h"

namespace difftune {

OptionTable describe(FluxMinimalInferenceOptions& options) {
  OptionTable table;
  table.group("Model");
  table.add("ckpt_path", &options.ckpt_path, "The transformer: a file in the authors' layout.",
            {.metavar = "FILE", .required = true});
  table.add("model_type", &options.model_type, "Which of the two models the checkpoint is.",
            {.choices = {"flux", "chroma"}});
  table.add("clip_l", &options.clip_l, "File with the text encoder CLIP ViT-L; not for Chroma.", {.metavar = "FILE"});
  table.add("t5xxl", &options.t5xxl, "File with the text encoder T5 v1.1 XXL.", {.metavar = "FILE"});
  table.add("ae", &options.ae, "File with the autoencoder.", {.metavar = "FILE"});
  table.add("apply_t5_attn_mask", &options.apply_t5_attn_mask,
            "Hide the padding behind a prompt from T5 and from the transformer; Chroma needs it.");
  describe(options.picture, table);
  table.group("Picture");
  table.add("negative_prompt", &options.negative_prompt, "What the picture does not show, where --cfg_scale is not 1.");
  describe_size(options.width, options.height, table);
  table.add("steps", &options.steps, "Steps of the sampler; without it 50, for schnell 4.", step_traits());
  table.add("guidance", &options.guidance,
            "Strength of the guidance that a distilled model is told; Chroma was trained with 0 and takes 3.5 for it.");
  table.add("cfg_scale", &options.cfg_scale,
            "Strength of the prompt over the negative prompt; 1 computes no negative prompt.");
  table.add("seed", &options.seed, "Start of the noise; drawn and logged without it.", seed_traits());
  table.group("Precision and memory");
  table.add(
      "dtype", &options.dtype,
      "Number format of all parts that have none of their own: bfloat16, float16, float32, or fp8 for matrices that "
      "are kept in 8 bits and computed with in bfloat16 (the autoencoder has no such form).",
      {.metavar = "TYPE"});
  table.add("flux_dtype", &options.flux_dtype,
            "Number format of the transformer; with fp8 its matrices are kept in 8 bits and computed with in bfloat16.",
            {.metavar = "TYPE"});
  table.add("clip_l_dtype", &options.clip_l_dtype, "Number format of CLIP.", {.metavar = "TYPE"});
  table.add("t5xxl_dtype", &options.t5xxl_dtype, "Number format of T5.", {.metavar = "TYPE"});
  table.add("ae_dtype", &options.ae_dtype, "Number format of the autoencoder.", {.metavar = "TYPE"});
  describe_memory(options.picture, table);
  return table;
}

}  // namespace difftune
