// A model of each family with its real structure and a few million random weights, as files that the commands read.
// A new family takes part in all contracts by a row in tiny_models().
#pragma once

#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>

#include <string>
#include <vector>

#include "base/files.h"
#include "models/autoencoder_kl.h"
#include "models/chroma.h"
#include "models/clip_text.h"
#include "models/flux.h"
#include "models/gemma2.h"
#include "models/mmdit.h"
#include "models/nextdit.h"
#include "models/t5_encoder.h"
#include "models/unet.h"
#include "nn/parameter_scope.h"
#include "weights/safetensors.h"

namespace difftune {

struct TinyModel {
  std::string name;
  std::string command;
  std::vector<std::string> network_modules;
  // Writes the model's files and returns the words that name them.
  std::vector<std::string> (*write)(const fs::path& folder);
  // Regular expressions of the modules that a LoRA has on the denoiser and on the text encoders that are trained.
  std::string denoiser_module, text_module;
  bool caches_text = true;
  int64_t blocks_to_swap = 0;  // 0: the command has no such option
};

namespace tiny {

inline std::vector<NamedTensor> named(const nn::ModelIndex& index) {
  std::vector<NamedTensor> tensors;
  for (const auto& parameter : index.parameters) tensors.emplace_back(parameter.path, parameter.tensor->contiguous());
  return tensors;
}

template <typename Model, typename Config>
std::vector<NamedTensor> weights(const Config& config, uint64_t seed) {
  const auto reader = nn::make_initializer(at::make_generator<at::CPUGeneratorImpl>(seed), at::kFloat);
  return named(Model(config, *reader).index());
}

template <typename Model, typename Config>
std::string write(const fs::path& file, const Config& config, uint64_t seed) {
  fs::create_directories(file.parent_path());
  write_safetensors(file, weights<Model>(config, seed));
  return file.string();
}

inline AutoencoderConfig vae(int64_t channels) {
  return {.latent_channels = channels,
          .block_channels = {32, 32, 32, 32},
          .num_resnets_per_block = 1,
          .has_quant_conv = channels == 4};
}

inline ClipTextConfig clip(int64_t projection_size = 0) {
  return {.hidden_size = 64,
          .intermediate_size = 96,
          .num_layers = 2,
          .num_heads = 1,
          .uses_quick_gelu = projection_size == 0,
          .projection_size = projection_size};
}

inline T5EncoderConfig t5(int64_t size) {
  return {.hidden_size = size, .intermediate_size = 48, .num_layers = 2, .num_heads = 2, .head_size = 16};
}

// Diffusers' folder of a U-Net, its autoencoder and text encoders.
inline std::vector<std::string> write_unet_folder(const fs::path& folder, const UNetConfig& unet, bool has_two_texts) {
  write<UNet>(folder / "unet" / "diffusion_pytorch_model.safetensors", unet, 1);
  write<AutoencoderKL>(folder / "vae" / "diffusion_pytorch_model.safetensors", vae(4), 2);
  write<ClipText>(folder / "text_encoder" / "model.safetensors", clip(), 3);
  if (has_two_texts) write<ClipText>(folder / "text_encoder_2" / "model.safetensors", clip(64), 4);
  write_file_atomically(folder / "model_index.json", "{}");
  return {"--pretrained_model_name_or_path", folder.string()};
}

inline UNetConfig unet(int64_t context_size) {
  return {.block_channels = {32, 64},
          .transformer_depth = {0, 1},
          .num_heads = {1, 1},
          .num_resnets_per_block = 1,
          .context_size = context_size,
          .uses_linear_projection = true};
}

inline std::vector<std::string> write_sd1(const fs::path& folder) { return write_unet_folder(folder, unet(64), false); }

inline std::vector<std::string> write_sdxl(const fs::path& folder) {
  UNetConfig config = unet(128);
  config.vector_size = 64 + 6 * 32;
  return write_unet_folder(folder, config, true);
}

inline FluxConfig flux() {
  return {.context_size = 32,
          .vector_size = 64,
          .hidden_size = 64,
          .mlp_size = 128,
          .num_heads = 2,
          .num_double_blocks = 3,
          .num_single_blocks = 4};
}

inline std::vector<std::string> write_flux(const fs::path& folder) {
  return {"--pretrained_model_name_or_path",
          write<Flux>(folder / "flux.safetensors", flux(), 1),
          "--clip_l",
          write<ClipText>(folder / "clip_l.safetensors", clip(), 2),
          "--t5xxl",
          write<T5Encoder>(folder / "t5.safetensors", t5(32), 3),
          "--ae",
          write<AutoencoderKL>(folder / "ae.safetensors", vae(16), 4),
          "--t5xxl_max_token_length",
          "16"};
}

inline std::vector<std::string> write_chroma(const fs::path& folder) {
  const ChromaConfig config{.blocks = flux(), .approximator_size = 32, .approximator_depth = 2};
  return {"--pretrained_model_name_or_path",
          write<Chroma>(folder / "chroma.safetensors", config, 1),
          "--t5xxl",
          write<T5Encoder>(folder / "t5.safetensors", t5(32), 3),
          "--ae",
          write<AutoencoderKL>(folder / "ae.safetensors", vae(16), 4),
          "--model_type",
          "chroma",
          "--apply_t5_attn_mask",
          "--t5xxl_max_token_length",
          "16",
          "--network_args",
          "train_t5xxl=True"};
}

inline std::vector<std::string> write_sd3(const fs::path& folder) {
  const MMDiTConfig config{.hidden_size = 64,
                           .mlp_size = 96,
                           .num_heads = 2,
                           .num_blocks = 4,
                           .context_size = 128,
                           .vector_size = 128,
                           .num_positions = 16 * 16,
                           .has_qk_norm = true,
                           .has_self_attention = {true, true}};
  return {"--pretrained_model_name_or_path",
          write<MMDiT>(folder / "sd3.safetensors", config, 1),
          "--clip_l",
          write<ClipText>(folder / "clip_l.safetensors", clip(), 2),
          "--clip_g",
          write<ClipText>(folder / "clip_g.safetensors", clip(64), 3),
          "--t5xxl",
          write<T5Encoder>(folder / "t5.safetensors", t5(128), 4),
          "--vae",
          write<AutoencoderKL>(folder / "vae.safetensors", vae(16), 5),
          "--t5xxl_max_token_length",
          "16"};
}

inline std::vector<std::string> write_lumina(const fs::path& folder) {
  const NextDiTConfig config{.hidden_size = 96,
                             .mlp_size = 128,
                             .num_heads = 2,
                             .num_kv_heads = 1,
                             .num_layers = 4,
                             .num_refiners = 1,
                             .caption_size = 64,
                             .time_size = 64};
  const Gemma2Config gemma{.vocabulary_size = 2048,
                           .hidden_size = 64,
                           .intermediate_size = 96,
                           .num_layers = 2,
                           .num_heads = 8,
                           .head_size = 16};
  const fs::path tokenizer = folder / "tokenizers" / "google_gemma-2-2b";
  fs::create_directories(tokenizer);
  fs::copy_file(fs::path(TEST_DATA_DIR) / "text" / "small_gemma.model", tokenizer / "tokenizer.model");
  return {"--pretrained_model_name_or_path",
          write<NextDiT>(folder / "lumina.safetensors", config, 1),
          "--gemma2",
          write<Gemma2>(folder / "gemma.safetensors", gemma, 2),
          "--ae",
          write<AutoencoderKL>(folder / "ae.safetensors", vae(16), 3),
          "--tokenizer_cache_dir",
          tokenizer.parent_path().string()};
}

}  // namespace tiny

inline const std::vector<TinyModel>& tiny_models() {
  const std::string clip_layer = "text_model_encoder_layers_[01]_(self_attn_(k|v|q|out)_proj|mlp_fc[12])";
  static const std::vector<TinyModel> models = {
      {"sd1",
       "train_network",
       {"networks.lora"},
       tiny::write_sd1,
       "lora_unet_(down|up|mid)_block(s_[01])?_attentions_[01]_(proj_in|proj_out|transformer_blocks_0_"
       "(attn[12]_to_(q|k|v|out_0)|ff_net_(0_proj|2)))",
       "lora_te_" + clip_layer,
       /*caches_text=*/false},
      {"sdxl",
       "sdxl_train_network",
       {"networks.lora"},
       tiny::write_sdxl,
       "lora_unet_(input|output|middle)_block(s_\\d)?_1_(proj_in|proj_out|transformer_blocks_0_"
       "(attn[12]_to_(q|k|v|out_0)|ff_net_(0_proj|2)))",
       "lora_te[12]_" + clip_layer,
       /*caches_text=*/true,
       2},
      {"flux",
       "flux_train_network",
       {"networks.lora_flux"},
       tiny::write_flux,
       "lora_unet_(double_blocks_[0-2]_(img|txt)_(mod_lin|attn_(qkv|proj)|mlp_[02])|"
       "single_blocks_[0-3]_(linear[12]|modulation_lin))",
       "lora_te1_" + clip_layer,
       true,
       2},
      {"chroma",
       "flux_train_network",
       {"networks.lora_flux"},
       tiny::write_chroma,
       "lora_unet_(double_blocks_[0-2]_(img|txt)_(attn_(qkv|proj)|mlp_[02])|single_blocks_[0-3]_linear[12])",
       "lora_te3_encoder_block_[01]_layer_(0_SelfAttention_(q|k|v|o)|1_DenseReluDense_(wi_[01]|wo))",
       true,
       2},
      {"sd3",
       "sd3_train_network",
       {"networks.lora_sd3"},
       tiny::write_sd3,
       "lora_unet_joint_blocks_[0-3]_(context|x)_block_(attn2?_(qkv|proj)|mlp_fc[12]|adaLN_modulation_1)",
       "lora_te[12]_" + clip_layer,
       true,
       2},
      {"lumina",
       "lumina_train_network",
       {"networks.lora_lumina"},
       tiny::write_lumina,
       "lora_unet_((context_refiner|noise_refiner|layers)_[0-3]_(attention_(qkv|out)|feed_forward_w[123]|"
       "adaLN_modulation_1)|final_layer_(linear|adaLN_modulation_1))",
       "lora_te_layers_[01]_(self_attn_[qkvo]_proj|mlp_(gate|up|down)_proj)",
       true,
       2},
  };
  return models;
}

}  // namespace difftune
