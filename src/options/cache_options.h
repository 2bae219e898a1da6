// The options of `difftune cache_latents` and `difftune cache_text_encoder_outputs`: those of training as far as the
// reference's scripts have them, so that a training command line or config file works with its words.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "options/train_network_options.h"

namespace difftune {

// Of FLUX, which these commands do not cache yet.
struct FluxCacheOptions {
  std::string weighting_scheme = "uniform";
  Number logit_mean = 0.0, logit_std = 1.0, mode_scale = 1.29;
  std::optional<int64_t> blocks_to_swap;
  std::optional<std::string> clip_l, t5xxl, ae, controlnet_model_name_or_path;
  std::optional<int64_t> t5xxl_max_token_length;
  bool apply_t5_attn_mask = false;
  Number guidance_scale = 3.5;
  std::string timestep_sampling = "sigma";
  Number sigmoid_scale = 1.0;
  std::string model_prediction_type = "sigma_scaled";
  Number discrete_flow_shift = 3.0;
  std::string model_type = "flux";
};

struct CacheOptions {
  TrainNetworkOptions train;
  FluxCacheOptions flux_options;
  bool sdxl = false;
  bool flux = false;
  bool skip_existing = false;
  std::optional<std::string> t5xxl_dtype;  // cache_text_encoder_outputs alone
};

enum class CacheCommand { latents, text };

// Options that only matter to training are accepted and say so.
OptionTable describe(CacheOptions& options, CacheCommand command);

// Settles what follows from the options and checks them; see validate(TrainNetworkOptions&).
std::vector<Remark> validate(CacheOptions& options, CacheCommand command);

}  // namespace difftune
