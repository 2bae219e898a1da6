#include "families/sd/sd_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "families/checkpoint_shapes.h"
#include "families/component_json.h"

namespace difftune {
namespace {

// Heads per level: SD 1.x has 8 everywhere; SD 2.x has heads of 64 channels.
std::vector<int64_t> heads_per_level(const std::vector<int64_t>& channels, bool is_v2) {
  std::vector<int64_t> heads;
  for (const int64_t c : channels) heads.push_back(is_v2 ? std::max<int64_t>(1, c / 64) : 8);
  return heads;
}

UNetConfig read_ldm_unet(const TensorSource& s) {
  const std::string root = "model.diffusion_model.";
  UNetConfig config;
  config.in_channels = size_of(s, root + "input_blocks.0.0.weight", 1);
  config.out_channels = size_of(s, root + "out.2.weight", 0);
  config.block_channels = {size_of(s, root + "input_blocks.0.0.weight", 0)};
  config.transformer_depth = {0};
  config.num_resnets_per_block = 0;
  if (s.contains(root + "label_emb.0.0.weight")) config.vector_size = size_of(s, root + "label_emb.0.0.weight", 1);
  int64_t resnets_in_level = 0;
  const int64_t num_blocks = count_numbered(s, root + "input_blocks.");
  for (int64_t block = 1; block < num_blocks; ++block) {
    const auto key = [&](std::string_view rest) { return fmt::format("{}input_blocks.{}.{}", root, block, rest); };
    if (s.contains(key("0.op.weight"))) {
      config.block_channels.push_back(0);
      config.transformer_depth.push_back(0);
      resnets_in_level = 0;
      continue;
    }
    config.block_channels.back() = size_of(s, key("0.in_layers.2.weight"), 0);
    config.num_resnets_per_block = std::max(config.num_resnets_per_block, ++resnets_in_level);
    config.transformer_depth.back() = count_numbered(s, key("1.transformer_blocks."));
    if (config.transformer_depth.back() > 0) {
      config.context_size = size_of(s, key("1.transformer_blocks.0.attn2.to_k.weight"), 1);
      config.uses_linear_projection = num_axes(s, key("1.proj_in.weight")) == 2;
    }
  }
  return config;
}

UNetConfig read_diffusers_unet(const TensorSource& s) {
  const std::string root = "unet.";
  UNetConfig config;
  config.in_channels = size_of(s, root + "conv_in.weight", 1);
  config.out_channels = size_of(s, root + "conv_out.weight", 0);
  const auto level_key = [&](int64_t level, std::string_view rest) {
    return fmt::format("{}down_blocks.{}.{}", root, level, rest);
  };
  const int64_t num_levels = count_numbered(s, root + "down_blocks.");
  config.block_channels.clear();
  config.transformer_depth.clear();
  for (int64_t level = 0; level < num_levels; ++level) {
    config.block_channels.push_back(size_of(s, level_key(level, "resnets.0.conv1.weight"), 0));
    config.transformer_depth.push_back(count_numbered(s, level_key(level, "attentions.0.transformer_blocks.")));
    if (config.transformer_depth.back() > 0) {
      config.context_size = size_of(s, level_key(level, "attentions.0.transformer_blocks.0.attn2.to_k.weight"), 1);
      config.uses_linear_projection = num_axes(s, level_key(level, "attentions.0.proj_in.weight")) == 2;
    }
  }
  config.num_resnets_per_block = count_numbered(s, level_key(0, "resnets."));
  const std::string embedding = root + "add_embedding.linear_1.weight";
  if (s.contains(embedding)) config.vector_size = size_of(s, embedding, 1);
  return config;
}

}  // namespace

ClipTextConfig read_clip_config(const TensorSource& s, const std::string& root) {
  ClipTextConfig config;
  // Some files lack the "text_model." level.
  const std::string base =
      s.contains(root + "text_model.embeddings.token_embedding.weight") ? root + "text_model." : root;
  config.vocabulary_size = size_of(s, base + "embeddings.token_embedding.weight", 0);
  config.hidden_size = size_of(s, base + "embeddings.token_embedding.weight", 1);
  config.max_positions = size_of(s, base + "embeddings.position_embedding.weight", 0);
  config.intermediate_size = size_of(s, base + "encoder.layers.0.mlp.fc1.weight", 0);
  config.num_layers = count_numbered(s, base + "encoder.layers.");
  config.num_heads = std::max<int64_t>(1, config.hidden_size / 64);
  return config;
}

ClipTextConfig read_open_clip_config(const TensorSource& s, const std::string& root) {
  ClipTextConfig config;
  config.vocabulary_size = size_of(s, root + "token_embedding.weight", 0);
  config.hidden_size = size_of(s, root + "token_embedding.weight", 1);
  config.max_positions = size_of(s, root + "positional_embedding", 0);
  config.intermediate_size = size_of(s, root + "transformer.resblocks.0.mlp.c_fc.weight", 0);
  config.num_layers = count_numbered(s, root + "transformer.resblocks.");
  config.num_heads = std::max<int64_t>(1, config.hidden_size / 64);
  config.uses_quick_gelu = false;
  return config;
}

UNetConfig read_unet_config(const TensorSource& s, bool is_diffusers) {
  return is_diffusers ? read_diffusers_unet(s) : read_ldm_unet(s);
}

namespace {

// What the shapes in a Diffusers folder do not show stands in the config.json beside the weights.
void read_diffusers_json(const fs::path& folder, SdConfig& config) {
  const ComponentJson unet(folder / "unet" / "config.json");
  unet.read("attention_head_dim", config.unet.num_heads);  // in truth the number of heads
  unet.read("norm_num_groups", config.unet.norm_groups);
  const ComponentJson text(folder / "text_encoder" / "config.json");
  text.read("num_attention_heads", config.text.num_heads);
  if (const auto activation = text.text("hidden_act")) config.text.uses_quick_gelu = *activation == "quick_gelu";
  ComponentJson(folder / "vae" / "config.json").read("norm_num_groups", config.vae.norm_groups);
}

void check_parts(const std::string& path, const char* where, int64_t channels, int64_t parts, const char* what) {
  if (channels % parts != 0)
    fail("{}: the {} has {} channels, which {} {} do not divide", path, where, channels, parts, what);
}

}  // namespace

void check_divisible(const UNetConfig& config, const std::string& path) {
  for (size_t level = 0; level < config.block_channels.size(); ++level) {
    check_parts(path, "U-Net", config.block_channels[level], config.num_heads[level], "attention heads");
    check_parts(path, "U-Net", config.block_channels[level], config.norm_groups, "norm groups");
  }
}

void check_divisible(const AutoencoderConfig& config, const std::string& path) {
  for (const int64_t channels : config.block_channels)
    check_parts(path, "VAE", channels, config.norm_groups, "norm groups");
}

void check_divisible(const ClipTextConfig& config, const std::string& path) {
  check_parts(path, "text encoder", config.hidden_size, config.num_heads, "attention heads");
}

AutoencoderConfig read_vae_config(const TensorSource& s, const std::string& prefix, bool is_diffusers) {
  AutoencoderConfig config;
  const std::string levels = prefix + (is_diffusers ? "encoder.down_blocks." : "encoder.down.");
  const char* resnets = is_diffusers ? "resnets" : "block";
  const auto conv1 = [&](int64_t level) { return fmt::format("{}{}.{}.0.conv1.weight", levels, level, resnets); };
  const int64_t num_levels = count_numbered(s, levels);
  if (num_levels == 0) fail_missing_key(s, conv1(0));
  config.block_channels.clear();
  for (int64_t level = 0; level < num_levels; ++level) config.block_channels.push_back(size_of(s, conv1(level), 0));
  config.num_resnets_per_block = count_numbered(s, fmt::format("{}0.{}.", levels, resnets));
  config.latent_channels = size_of(s, prefix + "encoder.conv_out.weight", 0) / 2;
  config.has_quant_conv = has_prefix(s, prefix + "quant_conv.");
  return config;
}

SdConfig read_sd_config(const TensorSource& checkpoint, bool is_v2) {
  SdConfig config;
  config.is_v2 = is_v2;
  config.is_diffusers = checkpoint.contains("unet.conv_in.weight");
  config.unet = read_unet_config(checkpoint, config.is_diffusers);
  if (!config.is_diffusers) config.has_matrix_projections = std::exchange(config.unet.uses_linear_projection, false);
  config.unet.num_heads = heads_per_level(config.unet.block_channels, is_v2);
  config.vae = read_vae_config(checkpoint, config.is_diffusers ? "vae." : "first_stage_model.", config.is_diffusers);
  if (config.is_diffusers) {
    config.text = read_clip_config(checkpoint, "text_encoder.");
    config.text.uses_quick_gelu = !is_v2;
    read_diffusers_json(checkpoint.path(), config);
  } else {
    config.text = is_v2 ? read_open_clip_config(checkpoint, "cond_stage_model.model.")
                        : read_clip_config(checkpoint, "cond_stage_model.transformer.");
    // The last layer is not used: SD 2.x takes the last but one's output.
    if (is_v2) --config.text.num_layers;
  }
  const std::string path = checkpoint.path().string();
  check_divisible(config.unet, path);
  check_divisible(config.vae, path);
  check_divisible(config.text, path);
  return config;
}

}  // namespace difftune
