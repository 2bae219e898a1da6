#include "families/sd/sd_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "base/error.h"

namespace difftune {
namespace {

int64_t size_of(const TensorSource& source, const std::string& key, size_t axis) {
  if (!source.contains(key)) fail_missing_key(source, key);
  const auto shape = source.info(key).shape;
  if (axis >= shape.size()) fail("{}: {} has too few axes", source.path().string(), key);
  return shape[axis];
}

size_t num_axes(const TensorSource& source, const std::string& key) { return source.info(key).shape.size(); }

// How many numbered parts, from 0 on, the keys show behind `prefix`: "layers.0.…", "layers.1.…" are two of "layers.".
// A gap is an error, so that a file with parts missing is not taken for a smaller model.
int64_t count_numbered(const TensorSource& source, const std::string& prefix) {
  std::set<int64_t> numbers;
  for (const std::string& key : source.keys()) {
    if (!key.starts_with(prefix)) continue;
    int64_t number = 0;
    const char* end = key.data() + key.size();
    const auto parsed = std::from_chars(key.data() + prefix.size(), end, number);
    if (parsed.ec == std::errc() && parsed.ptr != end && *parsed.ptr == '.') numbers.insert(number);
  }
  int64_t expected = 0;
  for (const int64_t number : numbers) {
    if (number != expected) {
      fail("{}: has tensors of '{}{}' and none of '{}{}'", source.path().string(), prefix, number, prefix, expected);
    }
    ++expected;
  }
  return expected;
}

bool has_prefix(const TensorSource& source, const std::string& prefix) {
  const auto keys = source.keys();
  return std::any_of(keys.begin(), keys.end(), [&](const std::string& key) { return key.starts_with(prefix); });
}

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
  return config;
}

ClipTextConfig read_clip_l(const TensorSource& s, const std::string& root) {
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

ClipTextConfig read_open_clip(const TensorSource& s) {
  const std::string root = "cond_stage_model.model.";
  ClipTextConfig config;
  config.vocabulary_size = size_of(s, root + "token_embedding.weight", 0);
  config.hidden_size = size_of(s, root + "token_embedding.weight", 1);
  config.max_positions = size_of(s, root + "positional_embedding", 0);
  config.intermediate_size = size_of(s, root + "transformer.resblocks.0.mlp.c_fc.weight", 0);
  // The last layer is not used: SD 2.x takes the last but one's output.
  config.num_layers = count_numbered(s, root + "transformer.resblocks.") - 1;
  config.num_heads = std::max<int64_t>(1, config.hidden_size / 64);
  config.uses_quick_gelu = false;
  return config;
}

// A config.json of a Diffusers component; one that does not exist says nothing.
class ComponentJson {
 public:
  explicit ComponentJson(fs::path file) : file_(std::move(file)), json_(nlohmann::json::object()) {
    if (!fs::exists(file_)) return;
    json_ = nlohmann::json::parse(read_file(file_), nullptr, false);
    if (!json_.is_object()) fail("{}: is not a JSON object", file_.string());
  }

  // One number, or one for each level (the last one for those beyond the list).
  void read(const char* key, std::vector<int64_t>& levels) const {
    if (!json_.contains(key)) return;
    const auto& value = json_[key];
    const bool is_list = value.is_array() && !value.empty();
    for (size_t i = 0; i < levels.size(); ++i) {
      levels[i] = positive(key, is_list ? value[std::min(i, value.size() - 1)] : value);
    }
  }
  void read(const char* key, int64_t& value) const {
    if (json_.contains(key)) value = positive(key, json_[key]);
  }
  std::optional<std::string> text(const char* key) const {
    if (!json_.contains(key)) return std::nullopt;
    if (!json_[key].is_string()) fail("{}: {} is {}, expected a text", file_.string(), key, json_[key].dump());
    return json_[key].get<std::string>();
  }

 private:
  int64_t positive(const char* key, const nlohmann::json& value) const {
    if (!value.is_number_integer() || value.get<int64_t>() < 1) {
      fail("{}: {} is {}, expected a positive whole number", file_.string(), key, value.dump());
    }
    return value.get<int64_t>();
  }

  fs::path file_;
  nlohmann::json json_;
};

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

// Heads and groups split the channels evenly, or the shapes are not those of a Stable Diffusion.
void check_divisible(const SdConfig& config, const std::string& path) {
  const auto check = [&](const char* where, int64_t channels, int64_t parts, const char* what) {
    if (channels % parts != 0)
      fail("{}: the {} has {} channels, which {} {} do not divide", path, where, channels, parts, what);
  };
  for (size_t level = 0; level < config.unet.block_channels.size(); ++level) {
    check("U-Net", config.unet.block_channels[level], config.unet.num_heads[level], "attention heads");
    check("U-Net", config.unet.block_channels[level], config.unet.norm_groups, "norm groups");
  }
  for (const int64_t channels : config.vae.block_channels)
    check("VAE", channels, config.vae.norm_groups, "norm groups");
  check("text encoder", config.text.hidden_size, config.text.num_heads, "attention heads");
}

}  // namespace

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
  config.unet = config.is_diffusers ? read_diffusers_unet(checkpoint) : read_ldm_unet(checkpoint);
  if (!config.is_diffusers) config.has_matrix_projections = std::exchange(config.unet.uses_linear_projection, false);
  config.unet.num_heads = heads_per_level(config.unet.block_channels, is_v2);
  config.vae = read_vae_config(checkpoint, config.is_diffusers ? "vae." : "first_stage_model.", config.is_diffusers);
  if (config.is_diffusers) {
    config.text = read_clip_l(checkpoint, "text_encoder.");
    config.text.uses_quick_gelu = !is_v2;
    read_diffusers_json(checkpoint.path(), config);
  } else {
    config.text = is_v2 ? read_open_clip(checkpoint) : read_clip_l(checkpoint, "cond_stage_model.transformer.");
  }
  check_divisible(config, checkpoint.path().string());
  return config;
}

}  // namespace difftune
