#include "options/groups/transformer.h"

#include "base/error.h"
#include "options/option_table.h"

namespace difftune {
namespace {

void describe_ae(TransformerOptions& options, OptionTable& table) {
  table.group("Model");
  table.add("ae", &options.ae, "File with the autoencoder.");
}

}  // namespace

void describe_blocks_to_swap(TransformerOptions& options, OptionTable& table) {
  table.group("Precision and memory");
  table.add("blocks_to_swap", &options.blocks_to_swap,
            "Blocks whose weights wait in main memory while others compute on a GPU; on the CPU their pages are read "
            "from the file ahead.",
            {.unit = "blocks", .minimum = 0});
}

void require_file(const std::optional<std::string>& file, const char* option, const char* what) {
  if (!file) throw UsageError(fmt::format("{} is missing: the file with {}", option, what));
}

void require_flux_parts(const TransformerOptions& options) {
  const bool is_chroma = options.model_type == "chroma";
  if (!is_chroma) require_file(options.clip_l, "--clip_l", "the text encoder CLIP ViT-L");
  require_file(options.t5xxl, "--t5xxl", "the text encoder T5 v1.1 XXL");
  require_file(options.ae, "--ae", "the autoencoder");
  if (is_chroma && !options.apply_t5_attn_mask) {
    throw UsageError("--model_type chroma needs --apply_t5_attn_mask: the model was trained with it");
  }
}

void describe_flux(TransformerOptions& options, OptionTable& table) {
  table.group("Model");
  table.add("model_type", &options.model_type, "Which of the two models the checkpoint is.",
            {.choices = {"flux", "chroma"}});
  table.add("clip_l", &options.clip_l, "File with the text encoder CLIP ViT-L; not for Chroma.");
  table.add("t5xxl", &options.t5xxl, "File with the text encoder T5 v1.1 XXL.");
  describe_ae(options, table);
  table.add("controlnet_model_name_or_path", &options.controlnet_model_name_or_path, "File with a ControlNet.");
  table.later("controlnet_model_name_or_path", "a LoRA is trained without a ControlNet; leave it out");
  table.group("Text encoder");
  table.add("t5xxl_max_token_length", &options.t5xxl_max_token_length,
            "Tokens of a caption that T5 sees; without it 512, for schnell 256.", {.unit = "tokens", .minimum = 1});
  table.add("apply_t5_attn_mask", &options.apply_t5_attn_mask,
            "Hide the padding behind a caption from T5 and from the transformer; Chroma needs it.");
  table.group("Flow matching");
  table.add(
      "guidance_scale", &options.guidance_scale,
      "Strength of the distilled guidance that the model is told while training; 1 for FLUX.1 dev, 0 for Chroma.");
  describe_blocks_to_swap(options, table);
  table.add("split_mode", &options.split_mode, "Former name of --blocks_to_swap 18.");
}

void describe_sd3(TransformerOptions& options, OptionTable& table) {
  table.group("Model");
  table.add("clip_l", &options.clip_l, "File with the text encoder CLIP ViT-L, where the checkpoint has none.");
  table.add("clip_g", &options.clip_g, "File with the text encoder CLIP ViT-bigG, where the checkpoint has none.");
  table.add("t5xxl", &options.t5xxl, "File with the text encoder T5 v1.1 XXL, where the checkpoint has none.");
  table.add("save_clip", &options.save_clip, "Save the CLIP encoders with the checkpoint.");
  table.no_effect("save_clip", "a LoRA file holds no text encoders");
  table.add("save_t5xxl", &options.save_t5xxl, "Save T5 with the checkpoint.");
  table.no_effect("save_t5xxl", "a LoRA file holds no text encoders");
  table.add("t5xxl_device", &options.t5xxl_device, "Device of T5.");
  table.no_effect("t5xxl_device", "all encoders run on the training's device");
  table.add("t5xxl_dtype", &options.t5xxl_dtype, "Precision of T5.");
  table.no_effect("t5xxl_dtype", "all encoders run in --mixed_precision's type");
  table.add("pos_emb_random_crop_rate", &options.pos_emb_random_crop_rate,
            "Share of the steps that take the position embedding of another place than the middle.",
            {.minimum = 0, .maximum = 1});
  table.add("enable_scaled_pos_embed", &options.enable_scaled_pos_embed,
            "Scale position embeddings to the resolutions of the dataset.");
  table.group("Text encoder");
  table.add("t5xxl_max_token_length", &options.sd3_t5xxl_max_token_length, "Tokens of a caption that T5 sees.",
            {.unit = "tokens", .minimum = 1});
  table.add("apply_lg_attn_mask", &options.apply_lg_attn_mask, "Hide the padding behind a caption from CLIP.");
  table.add("apply_t5_attn_mask", &options.apply_t5_attn_mask, "Hide the padding behind a caption from T5.");
  table.add("clip_l_dropout_rate", &options.clip_l_dropout_rate, "Share of captions that CLIP ViT-L does not say.",
            {.minimum = 0, .maximum = 1});
  table.add("clip_g_dropout_rate", &options.clip_g_dropout_rate, "Share of captions that CLIP ViT-bigG does not say.",
            {.minimum = 0, .maximum = 1});
  table.add("t5_dropout_rate", &options.t5_dropout_rate, "Share of captions that T5 does not say.",
            {.minimum = 0, .maximum = 1});
  describe_blocks_to_swap(options, table);
}

void describe_lumina(TransformerOptions& options, OptionTable& table) {
  table.group("Model");
  table.add("gemma2", &options.gemma2, "File with the text encoder Gemma 2 2B.");
  describe_ae(options, table);
  table.group("Text encoder");
  table.add("gemma2_max_token_length", &options.gemma2_max_token_length,
            "Tokens of a caption that Gemma sees; 256 without it.", {.unit = "tokens", .minimum = 1});
  table.add("system_prompt", &options.system_prompt, "Text before every caption and prompt, apart from negative ones.");
  table.group("Precision and memory");
  table.add("use_flash_attn", &options.use_flash_attn, "Compute attention with the flash-attn package.");
  table.no_effect("use_flash_attn", "attention is always computed in this way");
  table.add("use_sage_attn", &options.use_sage_attn, "Compute attention in 8 bits with the sageattention package.");
  table.later("use_sage_attn", "SageAttention is a Python package; leave it out");
  describe_blocks_to_swap(options, table);
  table.group("Sample pictures");
  table.add("sample_batch_size", &options.sample_batch_size, "Pictures that are made at a time.",
            {.unit = "pictures", .minimum = 1});
  table.no_effect("sample_batch_size", "pictures are made one by one, which gives the same ones");
}

}  // namespace difftune
