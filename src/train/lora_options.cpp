#include "train/lora_options.h"

#include <cmath>

#include "base/error.h"
#include "base/log.h"
#include "base/optional_path.h"

namespace difftune {
namespace {

template <typename T>
std::optional<double> as_double(const std::optional<T>& value) {
  return value ? std::optional<double>(value->value()) : std::nullopt;
}

c10::ScalarType weight_dtype(const std::string& mixed_precision) {
  if (mixed_precision == "bf16") return c10::kBFloat16;
  return mixed_precision == "fp16" ? c10::kHalf : c10::kFloat;
}

std::vector<DatasetConfig> read_dataset_configs(const TrainNetworkOptions& options, int64_t required_bucket_step) {
  DatasetDefaults defaults;
  defaults.required_bucket_step = static_cast<int>(required_bucket_step);
  auto& dataset = defaults.dataset;
  if (options.dataset.resolution) dataset.resolution = parse_resolution(*options.dataset.resolution, "--resolution");
  dataset.batch_size = static_cast<int>(options.dataset.train_batch_size);
  dataset.enable_bucket = options.bucket.enable_bucket;
  dataset.min_bucket_reso = static_cast<int>(options.bucket.min_bucket_reso);
  dataset.max_bucket_reso = static_cast<int>(options.bucket.max_bucket_reso);
  dataset.bucket_reso_steps = static_cast<int>(options.bucket.bucket_reso_steps);
  dataset.bucket_no_upscale = options.bucket.bucket_no_upscale;
  dataset.resize_interpolation = options.bucket.resize_interpolation;
  dataset.prior_loss_weight = options.dataset.prior_loss_weight;

  auto& subset = defaults.subset;
  const auto& caption = options.caption;
  subset.num_repeats = static_cast<int>(options.dataset.dataset_repeats);
  subset.caption_extension = caption.caption_extension;
  subset.shuffle_caption = caption.shuffle_caption;
  subset.caption_separator = caption.caption_separator;
  subset.keep_tokens = static_cast<int>(caption.keep_tokens);
  subset.keep_tokens_separator = caption.keep_tokens_separator;
  subset.secondary_separator = caption.secondary_separator;
  subset.enable_wildcard = caption.enable_wildcard;
  subset.caption_prefix = caption.caption_prefix;
  subset.caption_suffix = caption.caption_suffix;
  subset.caption_dropout_rate = caption.caption_dropout_rate;
  subset.caption_dropout_every_n_epochs = static_cast<int>(caption.caption_dropout_every_n_epochs);
  subset.caption_tag_dropout_rate = caption.caption_tag_dropout_rate;
  subset.token_warmup_min = static_cast<int>(caption.token_warmup_min);
  subset.token_warmup_step = caption.token_warmup_step;
  subset.flip_aug = options.augmentation.flip_aug;
  subset.random_crop = options.augmentation.random_crop;
  subset.alpha_mask = options.mask.alpha_mask;

  if (options.dataset.dataset_config) return read_dataset_config(*options.dataset.dataset_config, defaults);
  if (!options.dataset.train_data_dir) {
    throw UsageError("no images are named: give --train_data_dir or --dataset_config");
  }
  return dataset_config_from_folders(*options.dataset.train_data_dir, options.dataset.reg_data_dir.value_or(""),
                                     defaults);
}

// Sides of the squares that have the area of each dataset's resolution.
std::vector<int64_t> dataset_sides_px(const TrainNetworkOptions& options) {
  std::vector<int64_t> sides;
  for (const auto& config : read_dataset_configs(options, /*required_bucket_step=*/1)) {
    const auto area = static_cast<double>(config.resolution.width) * static_cast<double>(config.resolution.height);
    sides.push_back(std::llrint(std::sqrt(area)));
  }
  return sides;
}

}  // namespace

LoraConfig lora_config(const NetworkOptions& options, const LoraArguments& arguments) {
  LoraConfig config;
  config.rank = options.network_dim.value_or(4);
  if (config.rank < 1) throw UsageError(fmt::format("--network_dim {}: expected at least 1", config.rank));
  config.alpha = options.network_alpha;
  config.alpha_is_integer = options.network_alpha.is_integer();
  if (options.network_dropout && *options.network_dropout > 0) config.dropout = options.network_dropout->value();
  for (const auto& arg : options.network_args) {
    const auto equals = arg.find('=');
    if (equals == std::string::npos) {
      throw UsageError(fmt::format("--network_args {}: expected NAME=VALUE", arg));
    }
    read_lora_argument(arguments, arg.substr(0, equals), arg.substr(equals + 1), config);
  }
  config.train_denoiser = !options.network_train_text_encoder_only;
  config.train_text_encoders = !options.network_train_unet_only;
  return config;
}

AdapterLearningRates learning_rates(const TrainNetworkOptions& options, const FamilyInfo& family) {
  AdapterLearningRates rates{options.optimizer.learning_rate, as_double(options.network.unet_lr),
                             options.network.text_encoder_lr, family.text_rates};
  std::vector<TextRateGroup> single;
  for (const auto& group : family.text_rates) {
    for (const int component : group.components)
      single.push_back({fmt::format("textencoder {}", component), {component}});
  }
  const size_t given = rates.text_encoders.size();
  // The reference takes the first rate for all encoders of such a family.
  if (!options.run.reference_quirks && given > rates.text_groups.size() && given == single.size()) {
    rates.text_groups = std::move(single);
  } else if (given > rates.text_groups.size() && rates.text_groups.size() > 0) {
    log::info("--text_encoder_lr has {} values: only the first {} {} used", given, rates.text_groups.size(),
              rates.text_groups.size() == 1 ? "is" : "are");
    rates.text_encoders.resize(rates.text_groups.size());
  }
  return rates;
}

ObjectiveSettings objective_settings(const TrainNetworkOptions& options) {
  ObjectiveSettings settings;
  DdpmObjectiveConfig& config = settings.ddpm;
  config.prediction = options.model.v_parameterization ? PredictionType::velocity : PredictionType::epsilon;
  config.schedule.zero_terminal_snr = options.noise.zero_terminal_snr;
  config.schedule.reference_quirks = options.run.reference_quirks;

  const auto& noise = options.noise;
  config.noise.noise_offset = as_double(noise.noise_offset).value_or(0);
  config.noise.noise_offset_random_strength = noise.noise_offset_random_strength;
  config.noise.adaptive_noise_scale = as_double(noise.adaptive_noise_scale);
  config.noise.multires_noise_iterations = noise.multires_noise_iterations.value_or(0);
  config.noise.multires_noise_discount = noise.multires_noise_discount;
  config.noise.ip_noise_gamma = as_double(noise.ip_noise_gamma).value_or(0);
  config.noise.ip_noise_gamma_random_strength = noise.ip_noise_gamma_random_strength;
  config.noise.min_timestep = noise.min_timestep.value_or(0);
  config.noise.max_timestep = noise.max_timestep.value_or(config.schedule.num_timesteps);

  const auto& loss = options.loss;
  config.loss.type = parse_loss_type(loss.loss_type);
  config.loss.huber_schedule = parse_huber_schedule(loss.huber_schedule);
  config.loss.huber_c = loss.huber_c;
  config.loss.huber_scale = loss.huber_scale;
  config.loss.min_snr_gamma = as_double(loss.min_snr_gamma).value_or(0);
  config.loss.scale_v_pred_loss_like_noise_pred = loss.scale_v_pred_loss_like_noise_pred;
  config.loss.v_pred_like_loss = as_double(loss.v_pred_like_loss).value_or(0);
  config.loss.debiased_estimation_loss = loss.debiased_estimation_loss;

  const auto& options_of = options.flow;
  FlowObjectiveConfig& flow = settings.flow;
  flow.timesteps.sampling = parse_timestep_sampling(options_of.timestep_sampling);
  flow.timesteps.sigmoid_scale = options_of.sigmoid_scale;
  flow.timesteps.discrete_flow_shift = options_of.discrete_flow_shift;
  flow.timesteps.training_shift = options_of.training_shift;
  flow.timesteps.weighting = parse_weighting_scheme(options_of.weighting_scheme);
  flow.timesteps.logit_mean = options_of.logit_mean;
  flow.timesteps.logit_std = options_of.logit_std;
  flow.timesteps.mode_scale = options_of.mode_scale;
  flow.timesteps.min_timestep = config.noise.min_timestep;
  flow.timesteps.max_timestep = config.noise.max_timestep;
  flow.timesteps.reference_quirks = options.run.reference_quirks;
  flow.prediction = parse_flow_prediction(options_of.model_prediction_type);
  flow.ip_noise_gamma = config.noise.ip_noise_gamma;
  flow.ip_noise_gamma_random_strength = config.noise.ip_noise_gamma_random_strength;
  flow.loss = config.loss;
  flow.dtype = weight_dtype(options.compute.mixed_precision);
  flow.reference_quirks = options.run.reference_quirks;
  return settings;
}

ModelRequest model_request(const TrainNetworkOptions& options, c10::Device device) {
  if (options.compute.mixed_precision == "fp16" && device.is_cpu()) {
    throw UsageError("--mixed_precision fp16 needs a GPU: on a CPU use --mixed_precision bf16");
  }
  ModelRequest request;
  request.checkpoint = options.model.pretrained_model_name_or_path;
  request.vae = optional_path(options.model.vae);
  request.tokenizer_folder = optional_path(options.model.tokenizer_cache_dir);
  request.device = device;
  request.dtype = weight_dtype(options.compute.mixed_precision);
  request.vae_dtype = options.model.no_half_vae ? c10::kFloat : request.dtype;
  request.prediction = options.model.v_parameterization ? PredictionType::velocity : PredictionType::epsilon;
  request.max_token_length = static_cast<int>(options.text.max_token_length.value_or(75));
  if (options.text.clip_skip) request.clip_skip = static_cast<int>(*options.text.clip_skip);
  request.weighted_captions = options.text.weighted_captions;
  const auto& parts = options.transformer;
  const auto as_int = [](const std::optional<int64_t>& value) {
    return value ? std::optional<int>(static_cast<int>(*value)) : std::nullopt;
  };
  request.clip_l = optional_path(parts.clip_l);
  request.clip_g = optional_path(parts.clip_g);
  request.t5xxl = optional_path(parts.t5xxl);
  request.gemma2 = optional_path(parts.gemma2);
  request.autoencoder = optional_path(parts.ae);
  request.t5_length = as_int(parts.t5xxl_max_token_length);
  request.gemma_length = as_int(parts.gemma2_max_token_length);
  request.masks_clip = parts.apply_lg_attn_mask;
  request.masks_t5 = parts.apply_t5_attn_mask;
  request.system_prompt = parts.system_prompt;
  request.position_crop_rate = parts.pos_emb_random_crop_rate;
  request.clip_l_dropout = parts.clip_l_dropout_rate;
  request.clip_g_dropout = parts.clip_g_dropout_rate;
  request.t5_dropout = parts.t5_dropout_rate;
  if (parts.enable_scaled_pos_embed) request.scaled_position_sizes_px = dataset_sides_px(options);
  request.guidance = parts.guidance_scale;
  const ComputeOptions& compute = options.compute;
  request.gradient_checkpointing = compute.gradient_checkpointing;
  request.keeps_checkpoints_on_cpu = compute.cpu_offload_checkpointing;
  request.has_fp8_denoiser = compute.fp8_base || compute.fp8_base_unet;
  // Encoders whose outputs are cached run once: their weights may as well be read as they are. The reference narrows
  // none on a CPU.
  request.has_fp8_text_encoders = compute.fp8_base && !compute.fp8_base_unet &&
                                  !options.text_cache.cache_text_encoder_outputs &&
                                  !(options.run.reference_quirks && device.is_cpu());
  request.blocks_to_swap = parts.blocks_to_swap.value_or(0);
  request.reference_quirks = options.run.reference_quirks;
  return request;
}

std::vector<DatasetConfig> dataset_configs(const TrainNetworkOptions& options, const FamilyInfo& family) {
  return read_dataset_configs(options, family.bucket_step_px);
}

}  // namespace difftune
