// The commands that train a LoRA. All have the options of train_network; each may have more and checks of its own.
#pragma once

#include <array>
#include <span>
#include <string_view>
#include <vector>

#include "options/option_table.h"

namespace difftune {

struct TrainNetworkOptions;

struct TrainCommand {
  std::string_view name;     // as typed; a row of the family table names the command of its family
  std::string_view summary;  // one sentence
  std::string_view example;
  // Declares the options beyond the common ones, and marks those that mean nothing here. Null: none.
  void (*add_options)(TrainNetworkOptions& options, OptionTable& table);
  // Checks what is special, after the checks that all share; may add remarks, throws UsageError. Null: nothing.
  void (*check)(TrainNetworkOptions& options, std::vector<Remark>& remarks);
  std::string_view network_module = "networks.lora";  // the one of --network_module that is available
  // Options of this command that a LoRA's metadata records as ss_NAME, beside the common ones.
  std::span<const std::string_view> recorded = {};
};

void check_sd(TrainNetworkOptions& options, std::vector<Remark>& remarks);
void add_sdxl_options(TrainNetworkOptions& options, OptionTable& table);
void check_sdxl(TrainNetworkOptions& options, std::vector<Remark>& remarks);
void add_flux_options(TrainNetworkOptions& options, OptionTable& table);
void check_flux(TrainNetworkOptions& options, std::vector<Remark>& remarks);
void add_sd3_options(TrainNetworkOptions& options, OptionTable& table);
void check_sd3(TrainNetworkOptions& options, std::vector<Remark>& remarks);
void add_lumina_options(TrainNetworkOptions& options, OptionTable& table);
void check_lumina(TrainNetworkOptions& options, std::vector<Remark>& remarks);

inline constexpr std::array<std::string_view, 11> kFluxRecorded = {
    "model_type",         "apply_t5_attn_mask", "weighting_scheme",  "logit_mean",    "logit_std",
    "mode_scale",         "guidance_scale",     "timestep_sampling", "sigmoid_scale", "model_prediction_type",
    "discrete_flow_shift"};
inline constexpr std::array<std::string_view, 6> kSd3Recorded = {
    "apply_lg_attn_mask", "apply_t5_attn_mask", "weighting_scheme", "logit_mean", "logit_std", "mode_scale"};
inline constexpr std::array<std::string_view, 8> kLuminaRecorded = {
    "weighting_scheme",      "logit_mean",         "logit_std", "mode_scale", "timestep_sampling", "sigmoid_scale",
    "model_prediction_type", "discrete_flow_shift"};

inline constexpr std::array kTrainCommands = {
    TrainCommand{"train_network", "Trains a LoRA for Stable Diffusion 1.x or 2.x.",
                 "difftune train_network --pretrained_model_name_or_path model.safetensors --train_data_dir images "
                 "--resolution 512 --output_dir out --output_name my_lora --network_module networks.lora "
                 "--network_dim 16 --network_alpha 8 --max_train_steps 1000 --cache_latents",
                 nullptr, check_sd},
    TrainCommand{"sdxl_train_network", "Trains a LoRA for Stable Diffusion XL.",
                 "difftune sdxl_train_network --pretrained_model_name_or_path sdxl.safetensors --train_data_dir images "
                 "--resolution 1024 --enable_bucket --output_dir out --output_name my_lora --network_module "
                 "networks.lora --network_dim 16 --network_alpha 8 --network_train_unet_only --cache_latents "
                 "--cache_text_encoder_outputs --mixed_precision bf16 --max_train_steps 1000",
                 add_sdxl_options, check_sdxl},
    TrainCommand{"flux_train_network", "Trains a LoRA for FLUX.1 or Chroma.",
                 "difftune flux_train_network --pretrained_model_name_or_path flux1-dev.safetensors --clip_l "
                 "clip_l.safetensors --t5xxl t5xxl_fp16.safetensors --ae ae.safetensors --dataset_config data.toml "
                 "--output_dir out --output_name my_lora --network_module networks.lora_flux --network_dim 16 "
                 "--network_train_unet_only --cache_latents --cache_text_encoder_outputs --timestep_sampling shift "
                 "--discrete_flow_shift 3.1582 --model_prediction_type raw --guidance_scale 1 --mixed_precision bf16 "
                 "--gradient_checkpointing --max_train_steps 1000",
                 add_flux_options, check_flux, "networks.lora_flux", kFluxRecorded},
    TrainCommand{"sd3_train_network", "Trains a LoRA for Stable Diffusion 3 or 3.5.",
                 "difftune sd3_train_network --pretrained_model_name_or_path sd3.5_medium.safetensors --clip_l "
                 "clip_l.safetensors --clip_g clip_g.safetensors --t5xxl t5xxl_fp16.safetensors --dataset_config "
                 "data.toml --output_dir out --output_name my_lora --network_module networks.lora_sd3 --network_dim 16 "
                 "--network_train_unet_only --cache_latents --cache_text_encoder_outputs --mixed_precision bf16 "
                 "--gradient_checkpointing --max_train_steps 1000",
                 add_sd3_options, check_sd3, "networks.lora_sd3", kSd3Recorded},
    TrainCommand{"lumina_train_network", "Trains a LoRA for Lumina-Image 2.0.",
                 "difftune lumina_train_network --pretrained_model_name_or_path lumina2.safetensors --gemma2 "
                 "gemma2.safetensors --ae ae.safetensors --dataset_config data.toml --output_dir out --output_name "
                 "my_lora --network_module networks.lora_lumina --network_dim 16 --network_train_unet_only "
                 "--cache_latents --cache_text_encoder_outputs --timestep_sampling nextdit_shift --mixed_precision "
                 "bf16 --gradient_checkpointing --max_train_steps 1000",
                 add_lumina_options, check_lumina, "networks.lora_lumina", kLuminaRecorded},
};

// Throws for a name that is not in the table: a bug.
const TrainCommand& train_command(std::string_view name);

}  // namespace difftune
