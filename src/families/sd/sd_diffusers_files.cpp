// The configuration of a Diffusers folder, with the keys and values that Diffusers 0.32 and Transformers write where
// they are not those libraries' defaults.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "families/sd/sd_parts.h"
#include "text/clip_table.h"

namespace difftune {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kDiffusersVersion = "0.32.1";

Json component(const char* class_name) {
  return {{"_class_name", class_name}, {"_diffusers_version", kDiffusersVersion}};
}

Json unet_config(const SdConfig& config, bool uses_linear_projection) {
  const UNetConfig& unet = config.unet;
  std::vector<std::string> down, up;
  for (const int64_t depth : unet.transformer_depth) {
    down.push_back(depth > 0 ? "CrossAttnDownBlock2D" : "DownBlock2D");
    up.insert(up.begin(), depth > 0 ? "CrossAttnUpBlock2D" : "UpBlock2D");
  }
  Json json = component("UNet2DConditionModel");
  json["act_fn"] = "silu";
  // In truth the number of heads; one number where all levels have the same.
  const bool is_same = std::all_of(unet.num_heads.begin(), unet.num_heads.end(),
                                   [&](int64_t heads) { return heads == unet.num_heads[0]; });
  json["attention_head_dim"] = is_same ? Json(unet.num_heads[0]) : Json(unet.num_heads);
  json["block_out_channels"] = unet.block_channels;
  json["center_input_sample"] = false;
  json["cross_attention_dim"] = unet.context_size;
  json["down_block_types"] = down;
  json["downsample_padding"] = 1;
  json["flip_sin_to_cos"] = true;
  json["freq_shift"] = 0;
  json["in_channels"] = unet.in_channels;
  json["layers_per_block"] = unet.num_resnets_per_block;
  json["mid_block_scale_factor"] = 1;
  json["norm_eps"] = 1e-05;
  json["norm_num_groups"] = unet.norm_groups;
  json["out_channels"] = unet.out_channels;
  json["sample_size"] = 64;
  json["up_block_types"] = up;
  json["use_linear_projection"] = uses_linear_projection;
  return json;
}

Json vae_config(const AutoencoderConfig& vae) {
  const std::vector<std::string> down(vae.block_channels.size(), "DownEncoderBlock2D"),
      up(vae.block_channels.size(), "UpDecoderBlock2D");
  Json json = component("AutoencoderKL");
  json["act_fn"] = "silu";
  json["block_out_channels"] = vae.block_channels;
  json["down_block_types"] = down;
  json["in_channels"] = vae.image_channels;
  json["latent_channels"] = vae.latent_channels;
  json["layers_per_block"] = vae.num_resnets_per_block;
  json["norm_num_groups"] = vae.norm_groups;
  json["out_channels"] = vae.image_channels;
  json["sample_size"] = 256;
  json["scaling_factor"] = 0.18215;
  json["up_block_types"] = up;
  json["use_post_quant_conv"] = vae.has_quant_conv;
  json["use_quant_conv"] = vae.has_quant_conv;
  return json;
}

Json text_config(const ClipTextConfig& text) {
  return {{"architectures", {"CLIPTextModel"}},
          {"attention_dropout", 0.0},
          {"bos_token_id", 0},
          {"dropout", 0.0},
          {"eos_token_id", 2},
          {"hidden_act", text.uses_quick_gelu ? "quick_gelu" : "gelu"},
          {"hidden_size", text.hidden_size},
          {"initializer_factor", 1.0},
          {"initializer_range", 0.02},
          {"intermediate_size", text.intermediate_size},
          {"layer_norm_eps", 1e-05},
          {"max_position_embeddings", text.max_positions},
          {"model_type", "clip_text_model"},
          {"num_attention_heads", text.num_heads},
          {"num_hidden_layers", text.num_layers},
          {"pad_token_id", 1},
          {"projection_dim", text.uses_quick_gelu ? text.hidden_size : 512},
          {"torch_dtype", "float32"},
          {"vocab_size", text.vocabulary_size}};
}

Json scheduler_config(bool is_v2) {
  Json json = component("DDIMScheduler");
  json["beta_end"] = 0.012;
  json["beta_schedule"] = "scaled_linear";
  json["beta_start"] = 0.00085;
  json["clip_sample"] = false;
  json["num_train_timesteps"] = 1000;
  json["prediction_type"] = is_v2 ? "v_prediction" : "epsilon";
  json["set_alpha_to_one"] = false;
  json["steps_offset"] = 1;
  json["trained_betas"] = nullptr;
  return json;
}

Json model_index() {
  const Json none = {nullptr, nullptr};
  Json json = component("StableDiffusionPipeline");
  json["feature_extractor"] = none;
  json["image_encoder"] = none;
  json["requires_safety_checker"] = false;
  json["safety_checker"] = none;
  json["scheduler"] = {"diffusers", "DDIMScheduler"};
  json["text_encoder"] = {"transformers", "CLIPTextModel"};
  json["tokenizer"] = {"transformers", "CLIPTokenizer"};
  json["unet"] = {"diffusers", "UNet2DConditionModel"};
  json["vae"] = {"diffusers", "AutoencoderKL"};
  return json;
}

std::string text_of(const Json& json) { return json.dump(2) + "\n"; }

}  // namespace

std::vector<std::pair<std::string, std::string>> sd_diffusers_configs(const SdConfig& config,
                                                                      bool uses_linear_projection) {
  return {{"model_index.json", text_of(model_index())},
          {"unet/config.json", text_of(unet_config(config, uses_linear_projection))},
          {"vae/config.json", text_of(vae_config(config.vae))},
          {"text_encoder/config.json", text_of(text_config(config.text))},
          {"scheduler/scheduler_config.json", text_of(scheduler_config(config.is_v2))}};
}

std::vector<std::pair<std::string, std::string>> sd_tokenizer_files(bool is_v2) {
  ClipTokenizerFiles table = make_clip_tokenizer_files();
  const char* pad = is_v2 ? "!" : "<|endoftext|>";
  const Json special = {{"bos_token", "<|startoftext|>"},
                        {"eos_token", "<|endoftext|>"},
                        {"pad_token", pad},
                        {"unk_token", "<|endoftext|>"}};
  Json config = special;
  config["add_prefix_space"] = false;
  config["do_lower_case"] = true;
  config["errors"] = "replace";
  config["model_max_length"] = 77;
  config["tokenizer_class"] = "CLIPTokenizer";
  return {{"tokenizer/vocab.json", std::move(table.vocab_json)},
          {"tokenizer/merges.txt", std::move(table.merges_txt)},
          {"tokenizer/special_tokens_map.json", text_of(special)},
          {"tokenizer/tokenizer_config.json", text_of(config)}};
}

}  // namespace difftune
