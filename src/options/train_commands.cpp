#include "options/train_commands.h"

#include <fmt/format.h>

#include "base/error.h"
#include "options/train_network_options.h"

namespace difftune {
void check_sd(TrainNetworkOptions& options, std::vector<Remark>& remarks) {
  if (options.model.v_parameterization && !options.model.v2) {
    remarks.push_back({true, "--v_parameterization without --v2 is right only for SD 1 models made for v-prediction"});
  }
  if (options.model.v2 && options.text.clip_skip) {
    remarks.push_back(
        {true, "--clip_skip with --v2 counts from a text encoder that already leaves out its last layer"});
  }
  if (const auto& rates = options.network.text_encoder_lr; rates.size() > 1) {
    remarks.push_back({false, fmt::format("this model has one text encoder: of --text_encoder_lr only the first value, "
                                          "{}, is used",
                                          rates[0])});
  }
}

void add_sdxl_options(TrainNetworkOptions& options, OptionTable& table) {
  describe(options.text_cache, table);
  describe(options.loading, table);
  describe_blocks_to_swap(options.transformer, table);
}

void check_sdxl(TrainNetworkOptions& options, std::vector<Remark>& remarks) {
  if (options.model.v2) throw UsageError("--v2 does not go with Stable Diffusion XL: leave it out");
  if (options.text.clip_skip) {
    remarks.push_back({true, "--clip_skip has no effect: Stable Diffusion XL always takes the last layer but one"});
  }
  if (options.text_cache.cache_text_encoder_outputs && !options.network.network_train_unet_only) {
    throw UsageError(
        "--cache_text_encoder_outputs leaves the text encoders as they are: add --network_train_unet_only, or leave "
        "the cache out to train them");
  }
}

namespace {

// What belongs to DDPM, and would do nothing.
void check_flow(const TrainNetworkOptions& o, std::vector<Remark>& remarks) {
  if (o.model.v2) throw UsageError("--v2 does not go with this model: leave it out");
  if (o.model.v_parameterization) throw UsageError("--v_parameterization does not go with flow models: leave it out");
  if (o.text.weighted_captions) {
    throw UsageError("--weighted_captions: this model's text encoders take no weights; leave it out");
  }
  const std::pair<const char*, bool> ddpm[] = {
      {"noise_offset", o.noise.noise_offset.has_value()},
      {"adaptive_noise_scale", o.noise.adaptive_noise_scale.has_value()},
      {"multires_noise_iterations", o.noise.multires_noise_iterations.value_or(0) > 0},
      {"zero_terminal_snr", o.noise.zero_terminal_snr},
      {"min_snr_gamma", o.loss.min_snr_gamma.has_value()},
      {"debiased_estimation_loss", o.loss.debiased_estimation_loss},
      {"scale_v_pred_loss_like_noise_pred", o.loss.scale_v_pred_loss_like_noise_pred},
      {"v_pred_like_loss", o.loss.v_pred_like_loss.has_value()},
      {"clip_skip", o.text.clip_skip.has_value()},
      {"max_token_length", o.text.max_token_length.has_value()},
      {"sample_sampler", o.sample.sample_sampler != SampleOptions().sample_sampler}};
  for (const auto& [name, is_given] : ddpm) {
    if (is_given) remarks.push_back({true, fmt::format("--{} has no effect on this model", name)});
  }
}

// As the reference records it.
void extend_fp8_base(ComputeOptions& compute) { compute.fp8_base = compute.fp8_base || compute.fp8_base_unet; }

}  // namespace

void add_flux_options(TrainNetworkOptions& options, OptionTable& table) {
  describe(options.text_cache, table);
  describe_text_encoder_batch_size(options.text_cache, table);
  describe(options.loading, table);
  describe_weighting(options.flow, table);
  describe_sampling(options.flow, table, {"sigma", "uniform", "sigmoid", "shift", "flux_shift"});
  describe_flux(options.transformer, table);
}

void check_flux(TrainNetworkOptions& options, std::vector<Remark>& remarks) {
  check_flow(options, remarks);
  extend_fp8_base(options.compute);
  TransformerOptions& transformer = options.transformer;
  if (transformer.split_mode && !transformer.blocks_to_swap) transformer.blocks_to_swap = 18;
  if (transformer.split_mode) {
    remarks.push_back(
        {true, fmt::format("--split_mode is an old name: --blocks_to_swap {} is used", *transformer.blocks_to_swap)});
  }
  require_flux_parts(transformer);
}

void add_sd3_options(TrainNetworkOptions& options, OptionTable& table) {
  describe(options.text_cache, table);
  describe_text_encoder_batch_size(options.text_cache, table);
  describe(options.loading, table);
  describe_weighting(options.flow, table);
  describe_training_shift(options.flow, table);
  describe_sd3(options.transformer, table);
}

void check_sd3(TrainNetworkOptions& options, std::vector<Remark>& remarks) {
  check_flow(options, remarks);
  extend_fp8_base(options.compute);
  options.transformer.t5xxl_max_token_length = options.transformer.sd3_t5xxl_max_token_length;
}

void add_lumina_options(TrainNetworkOptions& options, OptionTable& table) {
  options.flow.timestep_sampling = "shift";
  options.flow.discrete_flow_shift = 6.0;
  options.flow.model_prediction_type = "raw";
  describe(options.text_cache, table);
  describe_text_encoder_batch_size(options.text_cache, table);
  describe(options.loading, table);
  describe_weighting(options.flow, table);
  describe_sampling(options.flow, table, {"sigma", "uniform", "sigmoid", "shift", "nextdit_shift", "flux_shift"});
  describe_lumina(options.transformer, table);
}

void check_lumina(TrainNetworkOptions& options, std::vector<Remark>& remarks) {
  check_flow(options, remarks);
  require_file(options.transformer.ae, "--ae", "the autoencoder");
}

const TrainCommand& train_command(std::string_view name) {
  for (const TrainCommand& command : kTrainCommands) {
    if (command.name == name) return command;
  }
  DT_CHECK(false, "no training command is called {}", name);
  return kTrainCommands[0];
}

}  // namespace difftune
