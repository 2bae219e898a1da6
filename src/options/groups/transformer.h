// The files of diffusion transformers, which come in several, and how their parts are used.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "options/number.h"

namespace difftune {

class OptionTable;

struct TransformerOptions {
  std::optional<std::string> clip_l, clip_g, t5xxl, gemma2, ae;
  std::optional<int64_t> t5xxl_max_token_length;
  std::optional<int64_t> gemma2_max_token_length;
  bool apply_lg_attn_mask = false, apply_t5_attn_mask = false;
  std::optional<int64_t> blocks_to_swap;

  // FLUX and Chroma.
  std::string model_type = "flux";
  Number guidance_scale = 3.5;
  std::optional<std::string> controlnet_model_name_or_path;
  bool split_mode = false;

  // SD3.
  int64_t sd3_t5xxl_max_token_length = 256;
  bool save_clip = false, save_t5xxl = false;
  std::optional<std::string> t5xxl_device, t5xxl_dtype;
  Number clip_l_dropout_rate = 0.0, clip_g_dropout_rate = 0.0, t5_dropout_rate = 0.0;
  Number pos_emb_random_crop_rate = 0.0;
  bool enable_scaled_pos_embed = false;

  // Lumina.
  std::string system_prompt;
  bool use_flash_attn = false, use_sage_attn = false;
  std::optional<int64_t> sample_batch_size;
};

// --blocks_to_swap, which the groups of whole families below include.
void describe_blocks_to_swap(TransformerOptions& options, OptionTable& table);
// Throws UsageError where `option`, which names the file with `what`, is not given.
void require_file(const std::optional<std::string>& file, const char* option, const char* what);
// Throws UsageError where an option that names a part of FLUX.1 or Chroma is missing, or Chroma's mask.
void require_flux_parts(const TransformerOptions& options);
void describe_flux(TransformerOptions& options, OptionTable& table);
void describe_sd3(TransformerOptions& options, OptionTable& table);
void describe_lumina(TransformerOptions& options, OptionTable& table);

}  // namespace difftune
