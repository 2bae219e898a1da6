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
constexpr std::array<std::string_view, 55> kUsed = {"pretrained_model_name_or_path",
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
                                                    "disable_mmap_load_safetensors"};

constexpr const char* kFluxOnly[] = {"flux",           "clip_l", "t5xxl", "ae", "t5xxl_max_token_length",
                                     "apply_t5_attn_mask", "model_type"};

void describe(FluxCacheOptions& o, OptionTable& table) {
  table.group("FLUX");
  table.add("clip_l", &o.clip_l, "The CLIP-L text encoder's file.", {.metavar = "FILE"});
  table.add("t5xxl", &o.t5xxl, "The T5-XXL text encoder's file.", {.metavar = "FILE"});
  table.add("ae", &o.ae, "The autoencoder's file.", {.metavar = "FILE"});
  table.add("controlnet_model_name_or_path", &o.controlnet_model_name_or_path, "A ControlNet's file.",
            {.metavar = "FILE"});
  table.add("model_type", &o.model_type, "The kind of the model.", {.choices = {"flux", "chroma"}});
  table.add("t5xxl_max_token_length", &o.t5xxl_max_token_length, "Tokens that T5 reads of a caption.",
            {.unit = "tokens", .minimum = 1});
  table.add("apply_t5_attn_mask", &o.apply_t5_attn_mask, "Leave padding out of T5's attention.");
  table.add("guidance_scale", &o.guidance_scale, "Guidance that the model is told in training.");
  table.add("timestep_sampling", &o.timestep_sampling, "How timesteps are drawn in training.",
            {.choices = {"sigma", "uniform", "sigmoid", "shift", "flux_shift"}});
  table.add("sigmoid_scale", &o.sigmoid_scale, "Spread of sigmoid timesteps.");
  table.add("model_prediction_type", &o.model_prediction_type, "How the model's output is read in training.",
            {.choices = {"raw", "additive", "sigma_scaled"}});
  table.add("discrete_flow_shift", &o.discrete_flow_shift, "Shift of the timesteps towards noise.");
  table.add("weighting_scheme", &o.weighting_scheme, "Weight of timesteps in training.",
            {.choices = {"sigma_sqrt", "logit_normal", "mode", "cosmap", "none", "uniform"}});
  table.add("logit_mean", &o.logit_mean, "Mean of logit_normal timesteps.");
  table.add("logit_std", &o.logit_std, "Deviation of logit_normal timesteps.");
  table.add("mode_scale", &o.mode_scale, "Strength of mode timesteps.");
  table.add("blocks_to_swap", &o.blocks_to_swap, "Blocks of the model that wait in main memory.", {.minimum = 0});
}

}  // namespace

OptionTable describe(CacheOptions& options, CacheCommand command) {
  OptionTable table = describe(options.train, train_command("train_network"));
  for (const char* name : kNotHere) table.remove(name);
  table.remove(command == CacheCommand::latents ? "weighted_captions" : "no_half_vae");
  describe(options.train.text_cache, table);
  describe_text_encoder_batch_size(options.train.text_cache, table);
  describe(options.train.loading, table);
  describe(options.flux_options, table);
  table.group("Model");
  table.add("sdxl", &options.sdxl, "The model is Stable Diffusion XL.");
  table.add("flux", &options.flux, "The model is FLUX.1.");
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
  for (const char* name : kFluxOnly) table.later(name, "FLUX is planned here; this command caches SD and SDXL");
  if (command == CacheCommand::text) table.later("t5xxl_dtype", "FLUX is planned here; this command caches SDXL");
  return table;
}

std::vector<Remark> validate(CacheOptions& options, CacheCommand command) {
  TrainNetworkOptions& train = options.train;
  std::vector<Remark> remarks;
  if (train.model.pretrained_model_name_or_path.empty()) {
    throw UsageError("--pretrained_model_name_or_path is missing: a .safetensors or .ckpt file, or a diffusers folder");
  }
  if (command == CacheCommand::text && !options.sdxl) {
    throw UsageError("cache_text_encoder_outputs works for Stable Diffusion XL: add --sdxl");
  }
  if (options.sdxl && train.model.v2) throw UsageError("--v2 does not go with --sdxl");
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
