#include "families/sdxl/sdxl_config.h"

#include <algorithm>

#include "base/error.h"
#include "families/checkpoint_shapes.h"
#include "families/component_json.h"
#include "families/sd/sd_config.h"

namespace difftune {
namespace {

// What the shapes in a Diffusers folder do not show stands in the config.json beside the weights.
void read_diffusers_json(const fs::path& folder, SdxlConfig& config) {
  const ComponentJson unet(folder / "unet" / "config.json");
  unet.read("attention_head_dim", config.unet.num_heads);  // in truth the number of heads
  unet.read("norm_num_groups", config.unet.norm_groups);
  ComponentJson(folder / "vae" / "config.json").read("norm_num_groups", config.vae.norm_groups);
  const std::pair<const char*, ClipTextConfig*> encoders[] = {{"text_encoder", &config.text1},
                                                              {"text_encoder_2", &config.text2}};
  for (const auto& [name, text] : encoders) {
    const ComponentJson json(folder / name / "config.json");
    json.read("num_attention_heads", text->num_heads);
    if (const auto activation = json.text("hidden_act")) text->uses_quick_gelu = *activation == "quick_gelu";
  }
}

void check_fit(const SdxlConfig& config, const std::string& path) {
  const int64_t context = config.text1.hidden_size + config.text2.hidden_size;
  if (config.unet.context_size != context) {
    fail("{}: the U-Net takes text states of {} values, its text encoders give {} + {}", path, config.unet.context_size,
         config.text1.hidden_size, config.text2.hidden_size);
  }
  const int64_t sizes = config.unet.vector_size - config.text2.projection_size;
  if (sizes <= 0 || sizes % 12 != 0) {
    fail(
        "{}: the U-Net takes a vector of {} values and the text feature has {}: the rest does not hold six sizes (is "
        "it the SDXL refiner?)",
        path, config.unet.vector_size, config.text2.projection_size);
  }
  if (config.text1.num_layers < 2 || config.text2.num_layers < 2) {
    fail("{}: a text encoder has fewer than two layers, and the last but one is used", path);
  }
}

}  // namespace

bool is_sdxl(const TensorSource& s) {
  return s.contains("model.diffusion_model.label_emb.0.0.weight") || s.contains("unet.add_embedding.linear_1.weight");
}

SdxlConfig read_sdxl_config(const TensorSource& s) {
  SdxlConfig config;
  config.is_diffusers = s.contains("unet.conv_in.weight");
  config.unet = read_unet_config(s, config.is_diffusers);
  config.unet.num_heads.clear();
  for (const int64_t channels : config.unet.block_channels) {
    config.unet.num_heads.push_back(std::max<int64_t>(1, channels / 64));
  }
  config.vae = read_vae_config(s, config.is_diffusers ? "vae." : "first_stage_model.", config.is_diffusers);
  if (config.is_diffusers) {
    config.text1 = read_clip_config(s, "text_encoder.");
    config.text2 = read_clip_config(s, "text_encoder_2.");
    config.text2.uses_quick_gelu = false;
    config.text2.projection_size = size_of(s, "text_encoder_2.text_projection.weight", 0);
    read_diffusers_json(s.path(), config);
  } else {
    config.text1 = read_clip_config(s, "conditioner.embedders.0.transformer.");
    config.text2 = read_open_clip_config(s, "conditioner.embedders.1.model.");
    config.text2.projection_size = size_of(s, "conditioner.embedders.1.model.text_projection", 1);
  }
  const std::string path = s.path().string();
  check_divisible(config.unet, path);
  check_divisible(config.vae, path);
  check_divisible(config.text1, path);
  check_divisible(config.text2, path);
  check_fit(config, path);
  return config;
}

}  // namespace difftune
