#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "options/resolution.h"
#include "options/train_network_options.h"

namespace difftune {
namespace {

template <typename... Args>
[[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) {
  throw UsageError(fmt::format(format, std::forward<Args>(args)...));
}

class Validation {
 public:
  Validation(TrainNetworkOptions& options, const TrainCommand& command) : o_(options), command_(command) {}

  std::vector<Remark> run() {
    check_model();
    check_dataset();
    check_captions();
    check_caches();
    check_network();
    check_length();
    check_optimizer();
    check_noise();
    check_loss();
    check_precision();
    check_output();
    check_samples();
    check_tracking();
    if (command_.check != nullptr) command_.check(o_, remarks_);
    return std::move(remarks_);
  }

 private:
  void note(std::string text) { remarks_.push_back({false, std::move(text)}); }
  void warn(std::string text) { remarks_.push_back({true, std::move(text)}); }
  void note_idle(bool idle, const char* option, const char* needed) {
    if (idle) note(fmt::format("--{} has no effect without --{}", option, needed));
  }

  void check_model() {
    if (o_.model.pretrained_model_name_or_path.empty()) {
      refuse("--pretrained_model_name_or_path is missing: a .safetensors or .ckpt file, or a diffusers folder");
    }
  }

  void check_dataset() {
    DatasetOptions& data = o_.dataset;
    if (data.dataset_config) {
      if (data.train_data_dir || data.reg_data_dir) {
        warn("--train_data_dir and --reg_data_dir are ignored because of --dataset_config");
      }
    } else if (!data.train_data_dir) {
      refuse("there are no images: give --dataset_config FILE, or --train_data_dir DIR");
    } else if (!data.resolution) {
      refuse("--resolution is missing, e.g. --resolution 512,512");
    }
    if (data.resolution) parse_resolution(*data.resolution);
    if (o_.bucket.min_bucket_reso > o_.bucket.max_bucket_reso) {
      refuse("--min_bucket_reso {} is larger than --max_bucket_reso {}", o_.bucket.min_bucket_reso,
             o_.bucket.max_bucket_reso);
    }
  }

  void check_captions() {
    CaptionOptions& caption = o_.caption;
    if (caption.caption_extention) {
      caption.caption_extension = *caption.caption_extention;
      caption.caption_extention.reset();
    }
    if (o_.dataset.dataset_config) return;  // the file can turn shuffling on for single subsets
    const bool moves_tags =
        caption.shuffle_caption || caption.caption_tag_dropout_rate > 0 || caption.token_warmup_step > 0;
    note_idle(caption.keep_tokens > 0 && !moves_tags, "keep_tokens", "shuffle_caption");
  }

  void check_caches() {
    if (o_.latent_cache.cache_latents_to_disk && !o_.latent_cache.cache_latents) {
      o_.latent_cache.cache_latents = true;
      note("--cache_latents_to_disk turns --cache_latents on");
    }
    if (o_.latent_cache.cache_latents && o_.augmentation.random_crop) {
      refuse("--cache_latents does not go with --random_crop, which needs the image in every step; drop one of them");
    }
    if (o_.text_cache.cache_text_encoder_outputs_to_disk && !o_.text_cache.cache_text_encoder_outputs) {
      o_.text_cache.cache_text_encoder_outputs = true;
      note("--cache_text_encoder_outputs_to_disk turns --cache_text_encoder_outputs on");
    }
  }

  void check_network() {
    const NetworkOptions& network = o_.network;
    if (network.network_module.empty()) {
      refuse("--network_module is missing, e.g. --network_module {}", command_.network_module);
    }
    if (network.network_module != command_.network_module) {
      refuse("--network_module {} is not available for `difftune {}`; available: {}", network.network_module,
             command_.name, command_.network_module);
    }
    if (network.network_train_unet_only && network.network_train_text_encoder_only) {
      refuse(
          "--network_train_unet_only and --network_train_text_encoder_only leave nothing to train; give one of them");
    }
    if (network.dim_from_weights && !network.network_weights) {
      refuse("--dim_from_weights needs --network_weights FILE, the file to take the ranks from");
    }
    for (const std::string& argument : network.network_args) {
      if (argument.find('=') == std::string::npos) refuse("--network_args: '{}' is not KEY=VALUE", argument);
    }
    if (network.unet_lr && network.network_train_text_encoder_only) {
      note("--unet_lr has no effect with --network_train_text_encoder_only");
    }
    if (!network.text_encoder_lr.empty() && network.network_train_unet_only) {
      note("--text_encoder_lr has no effect with --network_train_unet_only");
    }
    note_idle(!network.base_weights_multiplier.empty() && network.base_weights.empty(), "base_weights_multiplier",
              "base_weights");
    if (!network.base_weights.empty() && network.base_weights_multiplier.size() > network.base_weights.size()) {
      warn(fmt::format("--base_weights_multiplier has {} values for {} files; the last ones are not used",
                       network.base_weights_multiplier.size(), network.base_weights.size()));
    }
  }

  void check_length() {
    const TrainingOptions& training = o_.training;
    const StateOptions& state = o_.state;
    if (training.max_train_epochs && training.max_train_steps != TrainingOptions{}.max_train_steps) {
      warn(fmt::format("--max_train_epochs {} decides the length of the run; --max_train_steps {} is ignored",
                       *training.max_train_epochs, training.max_train_steps));
    }
    if (state.initial_epoch && state.initial_step) {
      warn("--initial_step wins over --initial_epoch");
    }
    if (state.initial_step && !training.max_train_epochs && *state.initial_step >= training.max_train_steps) {
      refuse("--initial_step {} is not before the end of the run, --max_train_steps {}", *state.initial_step,
             training.max_train_steps);
    }
    note_idle(state.skip_until_initial_step && !state.initial_epoch && !state.initial_step && !state.resume,
              "skip_until_initial_step", "resume, --initial_step or --initial_epoch");
  }

  void check_optimizer() {
    const std::string optimizer = optimizer_name(o_.optimizer);
    for (const std::string& argument : o_.optimizer.optimizer_args) {
      if (argument.find('=') == std::string::npos) refuse("--optimizer_args: '{}' is not KEY=VALUE", argument);
    }
    static const std::vector<std::string> kSchedules = {"constant", "constant_with_warmup", "linear",
                                                        "cosine",   "cosine_with_restarts", "polynomial"};
    const LrScheduleOptions& schedule = o_.lr_schedule;
    // "adafactor:NUMBER" as the reference writes it; the number is only what it logs before the first step.
    const bool is_adafactor = optimizer == "Adafactor" &&
                              (schedule.lr_scheduler == "adafactor" || schedule.lr_scheduler.starts_with("adafactor:"));
    if (is_adafactor &&
        std::count(o_.optimizer.optimizer_args.begin(), o_.optimizer.optimizer_args.end(), "relative_step=False") > 0) {
      refuse("--lr_scheduler {} is the schedule of relative steps; with --optimizer_args relative_step=False use {}",
             schedule.lr_scheduler, fmt::join(kSchedules, ", "));
    }
    if (!is_adafactor && std::find(kSchedules.begin(), kSchedules.end(), schedule.lr_scheduler) == kSchedules.end()) {
      refuse("--lr_scheduler {} is not available yet; available: {}, and adafactor with --optimizer_type Adafactor",
             schedule.lr_scheduler, fmt::join(kSchedules, ", "));
    }
    if (schedule.lr_scheduler == "constant" && schedule.lr_warmup_steps != 0) {
      refuse("--lr_warmup_steps does not go with --lr_scheduler constant; use constant_with_warmup");
    }
    if (schedule.lr_scheduler != "cosine_with_restarts" && schedule.lr_scheduler_num_cycles != 1) {
      note("--lr_scheduler_num_cycles has no effect without --lr_scheduler cosine_with_restarts");
    }
    if (schedule.lr_scheduler != "polynomial" && schedule.lr_scheduler_power != 1) {
      note("--lr_scheduler_power has no effect without --lr_scheduler polynomial");
    }
  }

  void check_noise() {
    const NoiseOptions& noise = o_.noise;
    const NoiseOptions defaults;
    if (noise.adaptive_noise_scale && !noise.noise_offset) refuse("--adaptive_noise_scale needs --noise_offset");
    note_idle(noise.noise_offset_random_strength && !noise.noise_offset, "noise_offset_random_strength",
              "noise_offset");
    note_idle(noise.ip_noise_gamma_random_strength && !noise.ip_noise_gamma, "ip_noise_gamma_random_strength",
              "ip_noise_gamma");
    note_idle(noise.multires_noise_discount != defaults.multires_noise_discount && !noise.multires_noise_iterations,
              "multires_noise_discount", "multires_noise_iterations");
    if (noise.zero_terminal_snr && !o_.model.v_parameterization) {
      warn("--zero_terminal_snr is meant for --v_parameterization; without it the last timestep teaches nothing");
    }
    const int64_t first = noise.min_timestep.value_or(0), end = noise.max_timestep.value_or(1000);
    if (first > end) refuse("--min_timestep {} is larger than --max_timestep {}", first, end);
  }

  void check_loss() {
    const LossOptions& loss = o_.loss;
    const LossOptions defaults;
    if (loss.scale_v_pred_loss_like_noise_pred && !o_.model.v_parameterization) {
      refuse("--scale_v_pred_loss_like_noise_pred needs --v_parameterization");
    }
    if (loss.v_pred_like_loss && *loss.v_pred_like_loss != 0 && o_.model.v_parameterization) {
      refuse("--v_pred_like_loss does not go with --v_parameterization");
    }
    const bool huber_set = loss.huber_schedule != defaults.huber_schedule || loss.huber_c != defaults.huber_c ||
                           loss.huber_scale != defaults.huber_scale;
    if (huber_set && loss.loss_type != "huber" && loss.loss_type != "smooth_l1") {
      note("--huber_schedule, --huber_c and --huber_scale have no effect without --loss_type huber or smooth_l1");
    }
  }

  void check_precision() {
    const ComputeOptions& compute = o_.compute;
    if (compute.full_fp16 && compute.full_bf16) refuse("--full_fp16 and --full_bf16 exclude each other");
    if (compute.full_fp16 && compute.mixed_precision != "fp16") refuse("--full_fp16 needs --mixed_precision fp16");
    if ((compute.fp8_base || compute.fp8_base_unet) && compute.mixed_precision == "no") {
      refuse("--fp8_base needs --mixed_precision bf16 (or fp16 on a GPU), the precision that the model computes in");
    }
    note_idle(compute.cpu_offload_checkpointing && !compute.gradient_checkpointing, "cpu_offload_checkpointing",
              "gradient_checkpointing");
    if (compute.full_bf16 && compute.mixed_precision != "bf16") refuse("--full_bf16 needs --mixed_precision bf16");
  }

  void check_output() {
    const OutputOptions& output = o_.output;
    if (output.output_dir.empty()) refuse("--output_dir is missing: the folder for the trained weights");
    if (output.save_model_as != "safetensors") {
      refuse("--save_model_as {} is not available yet; available: safetensors", output.save_model_as);
    }
    if (output.save_n_epoch_ratio.value_or(0) > 0 && output.save_every_n_epochs) {
      warn("--save_n_epoch_ratio wins over --save_every_n_epochs");
    }
    const bool every_epoch = output.save_every_n_epochs || output.save_n_epoch_ratio.value_or(0) > 0;
    note_idle(output.save_last_n_epochs && !every_epoch, "save_last_n_epochs", "save_every_n_epochs");
    note_idle(output.save_last_n_steps && !output.save_every_n_steps, "save_last_n_steps", "save_every_n_steps");
    note_idle(o_.state.save_last_n_epochs_state && !o_.state.save_state, "save_last_n_epochs_state", "save_state");
    note_idle(o_.state.save_last_n_steps_state && !o_.state.save_state, "save_last_n_steps_state", "save_state");
    if (o_.state.save_state && !every_epoch && !output.save_every_n_steps) {
      note(
          "--save_state saves at the end only, because neither --save_every_n_epochs nor --save_every_n_steps is "
          "given");
    }
  }

  void check_samples() {
    SampleOptions& sample = o_.sample;
    const auto drop_if_off = [&](std::optional<int64_t>& every, const char* name) {
      if (!every || *every > 0) return;
      note(fmt::format("--{} {} turns it off", name, *every));
      every.reset();
    };
    drop_if_off(sample.sample_every_n_steps, "sample_every_n_steps");
    drop_if_off(sample.sample_every_n_epochs, "sample_every_n_epochs");
    const bool wanted = sample.sample_every_n_steps || sample.sample_every_n_epochs || sample.sample_at_first;
    if (wanted && !sample.sample_prompts) {
      refuse("sample pictures need --sample_prompts FILE with their prompts");
    }
    if (!wanted && sample.sample_prompts) {
      note(
          "--sample_prompts has no effect without --sample_every_n_epochs, --sample_every_n_steps or "
          "--sample_at_first");
    }
    if (sample.sample_every_n_steps && sample.sample_every_n_epochs) {
      warn("--sample_every_n_epochs wins over --sample_every_n_steps");
    }
  }

  void check_tracking() {
    const TrackingOptions& tracking = o_.tracking;
    if (tracking.log_with && *tracking.log_with != "tensorboard") {
      refuse("--log_with {} is not available yet; available: tensorboard", *tracking.log_with);
    }
    if (tracking.log_with && !tracking.logging_dir) refuse("--log_with tensorboard needs --logging_dir DIR");
    note_idle(tracking.log_prefix && !tracking.logging_dir, "log_prefix", "logging_dir");
    note_idle(tracking.log_tracker_name && !tracking.logging_dir, "log_tracker_name", "logging_dir");
    note_idle(tracking.log_config && !tracking.logging_dir, "log_config", "logging_dir");
  }

  TrainNetworkOptions& o_;
  const TrainCommand& command_;
  std::vector<Remark> remarks_;
};

}  // namespace

std::vector<Remark> validate(TrainNetworkOptions& options, const TrainCommand& command) {
  return Validation(options, command).run();
}

}  // namespace difftune
