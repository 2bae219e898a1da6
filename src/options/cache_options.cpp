#include "options/cache_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "options/resolution.h"

namespace difftune {
namespace {

// What the reference's scripts lack of its training options.
constexpr const char* kNotHere[] = {"deepspeed",
                                    "zero_stage",
                                    "offload_optimizer_device",
                                    "offload_optimizer_nvme_path",
                                    "offload_param_device",
                                    "offload_param_nvme_path",
                                    "zero3_init_flag",
                                    "zero3_save_16bit_model",
                                    "fp16_master_weights_and_gradients",
                                    "optimizer_type",
                                    "use_8bit_adam",
                                    "use_lion_optimizer",
                                    "learning_rate",
                                    "max_grad_norm",
                                    "optimizer_args",
                                    "lr_scheduler_type",
                                    "lr_scheduler_args",
                                    "lr_scheduler",
                                    "lr_warmup_steps",
                                    "lr_decay_steps",
                                    "lr_scheduler_num_cycles",
                                    "lr_scheduler_power",
                                    "fused_backward_pass",
                                    "lr_scheduler_timescale",
                                    "lr_scheduler_min_lr_ratio",
                                    "min_snr_gamma",
                                    "scale_v_pred_loss_like_noise_pred",
                                    "v_pred_like_loss",
                                    "debiased_estimation_loss",
                                    "cpu_offload_checkpointing",
                                    "no_metadata",
                                    "save_model_as",
                                    "unet_lr",
                                    "text_encoder_lr",
                                    "fp8_base_unet",
                                    "network_weights",
                                    "network_module",
                                    "network_dim",
                                    "network_alpha",
                                    "network_dropout",
                                    "network_args",
                                    "network_train_unet_only",
                                    "network_train_text_encoder_only",
                                    "training_comment",
                                    "dim_from_weights",
                                    "scale_weight_norms",
                                    "base_weights",
                                    "base_weights_multiplier",
                                    "skip_until_initial_step",
                                    "initial_epoch",
                                    "initial_step",
                                    "validation_seed",
                                    "validation_split",
                                    "validate_every_n_steps",
                                    "validate_every_n_epochs",
                                    "max_validation_steps"};

// What has an effect on either cache; the rest belongs to training.
constexpr std::array<std::string_view, 70> kUsed = {"pretrained_model_name_or_path",
                                                    "v2",
                                                    "vae",
                                                    "no_half_vae",
                                                    "tokenizer_cache_dir",
                                                    "train_data_dir",
                                                    "reg_data_dir",
                                                    "dataset_config",
                                                    "resolution",
                                                    "train_batch_size",
                                                    "shuffle_caption",
                                                    "caption_separator",
                                                    "caption_extension",
                                                    "caption_extention",
                                                    "keep_tokens",
                                                    "keep_tokens_separator",
                                                    "secondary_separator",
                                                    "enable_wildcard",
                                                    "caption_prefix",
                                                    "caption_suffix",
                                                    "caption_dropout_rate",
                                                    "caption_dropout_every_n_epochs",
                                                    "caption_tag_dropout_rate",
                                                    "token_warmup_min",
                                                    "token_warmup_step",
                                                    "flip_aug",
                                                    "random_crop",
                                                    "alpha_mask",
                                                    "enable_bucket",
                                                    "min_bucket_reso",
                                                    "max_bucket_reso",
                                                    "bucket_reso_steps",
                                                    "bucket_no_upscale",
                                                    "resize_interpolation",
                                                    "vae_batch_size",
                                                    "skip_cache_check",
                                                    "max_token_length",
                                                    "weighted_captions",
                                                    "text_encoder_batch_size",
                                                    "seed",
                                                    "mixed_precision",
                                                    "cache_latents",
                                                    "cache_latents_to_disk",
                                                    "cache_text_encoder_outputs",
                                                    "cache_text_encoder_outputs_to_disk",
                                                    "console_log_level",
                                                    "console_log_file",
                                                    "console_log_simple",
                                                    "config_file",
                                                    "output_config",
                                                    "dry_run",
                                                    "reference_quirks",
                                                    "sdxl",
                                                    "skip_existing",
                                                    "disable_mmap_load_safetensors",
                                                    "flux",
                                                    "sd3",
                                                    "lumina",
                                                    "model_type",
                                                    "clip_l",
                                                    "clip_g",
                                                    "t5xxl",
                                                    "gemma2",
                                                    "ae",
                                                    "t5xxl_max_token_length",
                                                    "gemma2_max_token_length",
                                                    "apply_t5_attn_mask",
                                                    "apply_lg_attn_mask",
                                                    "system_prompt",
                                                    "t5xxl_dtype"};

// What the reference's scripts have of FLUX, and what the other transformers need besides.
void describe_transformers(CacheOptions& options, OptionTable& table) {
  TransformerOptions& parts = options.train.transformer;
  describe_flux(parts, table);
  table.remove("split_mode");
  describe_weighting(options.train.flow, table);
  describe_sampling(options.train.flow, table, {"sigma", "uniform", "sigmoid", "shift", "flux_shift"});
  table.group("Model");
  table.add("clip_g", &parts.clip_g, "File with the text encoder CLIP ViT-bigG, where a SD3 checkpoint has none.");
  table.add("gemma2", &parts.gemma2, "File with the text encoder Gemma 2 2B, for Lumina.");
  table.group("Text encoder");
  table.add("apply_lg_attn_mask", &parts.apply_lg_attn_mask, "Hide the padding behind a caption from CLIP; for SD3.");
  table.add("gemma2_max_token_length", &parts.gemma2_max_token_length, "Tokens of a caption that Gemma sees.",
            {.unit = "tokens", .minimum = 1});
  table.add("system_prompt", &parts.system_prompt, "Text before every caption, for Lumina.");
}

constexpr std::string_view kKinds = "--sdxl, --flux, --sd3 or --lumina";

}  // namespace

OptionTable describe(CacheOptions& options, CacheCommand command) {
  OptionTable table = describe(options.train, train_command("train_network"));
  for (const char* name : kNotHere) table.remove(name);
  table.remove(command == CacheCommand::latents ? "weighted_captions" : "no_half_vae");
  describe(options.train.text_cache, table);
  describe_text_encoder_batch_size(options.train.text_cache, table);
  describe(options.train.loading, table);
  describe_transformers(options, table);
  table.group("Model");
  table.add("sdxl", &options.sdxl, "The model is Stable Diffusion XL.");
  table.add("flux", &options.flux, "The model is FLUX.1, or with --model_type chroma Chroma.");
  table.add("sd3", &options.sd3, "The model is Stable Diffusion 3 or 3.5.");
  table.add("lumina", &options.lumina, "The model is Lumina-Image 2.0.");
  if (command == CacheCommand::text) {
    table.add("t5xxl_dtype", &options.t5xxl_dtype, "The dtype that T5-XXL runs in.");
  }
  table.group("This run");
  table.add("skip_existing", &options.skip_existing, "Leave images alone that have a cache file, without reading it.");

  std::vector<std::string> idle;
  for (const OptionSpec& spec : table.specs()) {
    const bool is_used = std::find(kUsed.begin(), kUsed.end(), spec.name) != kUsed.end();
    if (!is_used && spec.availability == Availability::available) idle.push_back(spec.name);
  }
  for (const auto& name : idle) table.no_effect(name, "it belongs to training, and the cache does not depend on it");
  return table;
}

std::string_view train_command_name(const CacheOptions& options) {
  if (options.sdxl) return "sdxl_train_network";
  if (options.sd3) return "sd3_train_network";
  if (options.lumina) return "lumina_train_network";
  if (!options.flux) return "train_network";
  return options.train.transformer.model_type == "chroma" ? "flux_train_network --model_type chroma"
                                                          : "flux_train_network";
}

std::string_view kind_flags(std::string_view train_command) {
  if (train_command == "sdxl_train_network") return "--sdxl";
  if (train_command == "sd3_train_network") return "--sd3";
  if (train_command == "lumina_train_network") return "--lumina";
  if (train_command == "flux_train_network") return "--flux";
  return train_command == "train_network" ? "" : "--flux --model_type chroma";
}

std::vector<Remark> validate(CacheOptions& options, CacheCommand command) {
  TrainNetworkOptions& train = options.train;
  std::vector<Remark> remarks;
  if (train.model.pretrained_model_name_or_path.empty()) {
    throw UsageError("--pretrained_model_name_or_path is missing: a .safetensors or .ckpt file, or a diffusers folder");
  }
  const int num_kinds = options.sdxl + options.flux + options.sd3 + options.lumina;
  if (num_kinds > 1) throw UsageError(fmt::format("{} exclude each other", kKinds));
  if (command == CacheCommand::text && num_kinds == 0) {
    throw UsageError(fmt::format(
        "text encoder outputs of Stable Diffusion 1.x and 2.x are not cached: for another model add {}", kKinds));
  }
  if (num_kinds > 0 && train.model.v2) throw UsageError(fmt::format("--v2 does not go with {}", kKinds));
  if (!train.dataset.dataset_config && !train.dataset.train_data_dir) {
    throw UsageError("there are no images: give --dataset_config FILE, or --train_data_dir DIR");
  }
  if (!train.dataset.dataset_config && !train.dataset.resolution) {
    throw UsageError("--resolution is missing, e.g. --resolution 1024,1024");
  }
  if (train.dataset.resolution) parse_resolution(*train.dataset.resolution);
  if (train.caption.caption_extention) {
    train.caption.caption_extension = *train.caption.caption_extention;
    train.caption.caption_extention.reset();
  }
  const bool latents = command == CacheCommand::latents;
  train.latent_cache.cache_latents = train.latent_cache.cache_latents_to_disk = latents;
  train.text_cache.cache_text_encoder_outputs = train.text_cache.cache_text_encoder_outputs_to_disk = !latents;
  if (options.skip_existing) train.latent_cache.skip_cache_check = true;
  return remarks;
}

}  // namespace difftune
