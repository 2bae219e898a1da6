#include "families/lora_targets.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "families/sd/sd_name_map.h"

namespace difftune {
namespace {

constexpr std::string_view kWeight = ".weight", kSd2TextEncoder = "cond_stage_model.model.";

std::string underscored(std::string_view path) {
  std::string name(path);
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != text.npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

struct Spelling {
  std::string_view prefix, becomes;
};
constexpr std::array kPrefixes = {
    Spelling{"lora_unet_", "lora_unet_"},
    Spelling{"lora_te_", "lora_te_"},
    Spelling{"lora_te1_", "lora_te1_"},
    Spelling{"lora_te2_", "lora_te2_"},
    Spelling{"lora_te3_", "lora_te3_"},
    Spelling{"oft_unet_", "lora_unet_"},
    Spelling{"lycoris_", "lora_unet_"},
    Spelling{"text_encoder.", "lora_te1_"},
    Spelling{"text_encoder_2.", "lora_te2_"},
    Spelling{"text_encoder_3.", "lora_te3_"},
    Spelling{"text_encoders.clip_l.transformer.", "lora_te1_"},
    Spelling{"text_encoders.clip_g.transformer.", "lora_te2_"},
    Spelling{"text_encoders.t5xxl.transformer.", "lora_te3_"},
    Spelling{"model.diffusion_model.", "lora_unet_"},
    Spelling{"diffusion_model.", "lora_unet_"},
    Spelling{"unet.", "lora_unet_"},
    Spelling{"transformer.", "lora_unet_"},
    Spelling{"", "lora_unet_"},
};

// A part of a checkpoint that LoRA modules are named after.
struct Component {
  std::string_view key_prefix;
  std::string_view module_prefix;
  std::string_view alias;  // another prefix under which files name its modules, or ""
  enum class Layout { as_stored, ldm_unet, clip_l, open_clip } layout;
};
constexpr std::array kComponents = {
    Component{"model.diffusion_model.", "lora_unet_", "", Component::Layout::ldm_unet},
    Component{"diffusion_model.", "lora_unet_", "", Component::Layout::as_stored},
    Component{"cond_stage_model.transformer.", "lora_te_", "lora_te1_", Component::Layout::clip_l},
    Component{kSd2TextEncoder, "lora_te_", "lora_te1_", Component::Layout::open_clip},
    Component{"conditioner.embedders.0.transformer.", "lora_te1_", "lora_te_", Component::Layout::clip_l},
    Component{"conditioner.embedders.1.model.", "lora_te2_", "", Component::Layout::open_clip},
    Component{"text_encoders.clip_l.transformer.", "lora_te1_", "", Component::Layout::as_stored},
    Component{"text_encoders.clip_g.transformer.", "lora_te2_", "", Component::Layout::as_stored},
    Component{"text_encoders.t5xxl.transformer.", "lora_te3_", "", Component::Layout::as_stored},
    Component{"first_stage_model.", "", "", Component::Layout::as_stored},  // no LoRA sits on the autoencoder
    Component{"vae.", "", "", Component::Layout::as_stored},
    Component{"model_ema.", "", "", Component::Layout::as_stored},
    // Files that hold one model only: a text encoder, or the transformer of a DiT.
    Component{"text_model.", "lora_te1_text_model_", "lora_te2_text_model_", Component::Layout::as_stored},
    Component{"encoder.block.", "lora_te3_encoder_block_", "lora_te2_encoder_block_", Component::Layout::as_stored},
    Component{"", "lora_unet_", "", Component::Layout::as_stored},
};

const Component& component_of(std::string_view key) {
  return *std::find_if(kComponents.begin(), kComponents.end(),
                       [&](const Component& c) { return key.starts_with(c.key_prefix); });
}

// The levels of an LDM U-Net by its keys, or nullopt where it is none.
std::optional<UNetLayout> ldm_unet_layout(const TensorSource& checkpoint) {
  const std::string root = "model.diffusion_model.input_blocks.";
  if (!checkpoint.contains(root + "0.0.weight")) return std::nullopt;
  UNetLayout layout{.level_has_attention = {false}, .layers_per_block = 0};
  int layers = 0;
  for (int block = 1;; ++block) {
    const std::string path = fmt::format("{}{}.", root, block);
    if (checkpoint.contains(path + "0.op.weight")) {
      layout.level_has_attention.push_back(false);
      layers = 0;
    } else if (checkpoint.contains(path + "0.in_layers.2.weight")) {
      layout.layers_per_block = std::max(layout.layers_per_block, ++layers);
      if (checkpoint.contains(path + "1.proj_in.weight")) layout.level_has_attention.back() = true;
    } else {
      return layout;
    }
  }
}

int count_resblocks(const TensorSource& checkpoint, const std::string& prefix) {
  int count = 0;
  while (checkpoint.contains(fmt::format("{}transformer.resblocks.{}.attn.in_proj_weight", prefix, count))) ++count;
  return count;
}

// A module of Diffusers' transformers whose weight is a part of one of the original's, or has another name.
struct Renamed {
  std::string_view diffusers, original;
  int part = 0, num_parts = 1;  // of equal size
};
// huggingface/diffusers scripts/convert_flux_to_diffusers.py.
constexpr std::array kFluxDouble = {
    Renamed{"attn_to_q", "img_attn.qkv", 0, 3},
    Renamed{"attn_to_k", "img_attn.qkv", 1, 3},
    Renamed{"attn_to_v", "img_attn.qkv", 2, 3},
    Renamed{"attn_add_q_proj", "txt_attn.qkv", 0, 3},
    Renamed{"attn_add_k_proj", "txt_attn.qkv", 1, 3},
    Renamed{"attn_add_v_proj", "txt_attn.qkv", 2, 3},
    Renamed{"attn_to_out_0", "img_attn.proj"},
    Renamed{"attn_to_add_out", "txt_attn.proj"},
    Renamed{"norm1_linear", "img_mod.lin"},
    Renamed{"norm1_context_linear", "txt_mod.lin"},
    Renamed{"ff_net_0_proj", "img_mlp.0"},
    Renamed{"ff_net_2", "img_mlp.2"},
    Renamed{"ff_context_net_0_proj", "txt_mlp.0"},
    Renamed{"ff_context_net_2", "txt_mlp.2"},
};
constexpr std::array kFluxSingle = {Renamed{"norm_linear", "modulation.lin"}, Renamed{"proj_out", "linear2"}};
constexpr std::array kFluxOuter = {
    Renamed{"x_embedder", "img_in"},
    Renamed{"context_embedder", "txt_in"},
    Renamed{"time_text_embed_timestep_embedder_linear_1", "time_in.in_layer"},
    Renamed{"time_text_embed_timestep_embedder_linear_2", "time_in.out_layer"},
    Renamed{"time_text_embed_guidance_embedder_linear_1", "guidance_in.in_layer"},
    Renamed{"time_text_embed_guidance_embedder_linear_2", "guidance_in.out_layer"},
    Renamed{"time_text_embed_text_embedder_linear_1", "vector_in.in_layer"},
    Renamed{"time_text_embed_text_embedder_linear_2", "vector_in.out_layer"},
    Renamed{"proj_out", "final_layer.linear"},
};
// huggingface/diffusers scripts/convert_sd3_to_diffusers.py.
constexpr std::array kSd3Joint = {
    Renamed{"attn_to_q", "x_block.attn.qkv", 0, 3},
    Renamed{"attn_to_k", "x_block.attn.qkv", 1, 3},
    Renamed{"attn_to_v", "x_block.attn.qkv", 2, 3},
    Renamed{"attn_add_q_proj", "context_block.attn.qkv", 0, 3},
    Renamed{"attn_add_k_proj", "context_block.attn.qkv", 1, 3},
    Renamed{"attn_add_v_proj", "context_block.attn.qkv", 2, 3},
    Renamed{"attn2_to_q", "x_block.attn2.qkv", 0, 3},
    Renamed{"attn2_to_k", "x_block.attn2.qkv", 1, 3},
    Renamed{"attn2_to_v", "x_block.attn2.qkv", 2, 3},
    Renamed{"attn_to_out_0", "x_block.attn.proj"},
    Renamed{"attn2_to_out_0", "x_block.attn2.proj"},
    Renamed{"attn_to_add_out", "context_block.attn.proj"},
    Renamed{"norm1_linear", "x_block.adaLN_modulation.1"},
    Renamed{"ff_net_0_proj", "x_block.mlp.fc1"},
    Renamed{"ff_net_2", "x_block.mlp.fc2"},
    Renamed{"ff_context_net_0_proj", "context_block.mlp.fc1"},
    Renamed{"ff_context_net_2", "context_block.mlp.fc2"},
};

}  // namespace

class LoraTargets::Builder {
 public:
  Builder(const TensorSource& checkpoint, LoraTargets& result) : checkpoint_(checkpoint), result_(result) {}

  void build() {
    for (const std::string& key : checkpoint_.keys()) add(key);
    for (const char* root : {"", "model.diffusion_model.", "diffusion_model."}) add_renamed(root);
    // Pointers are taken once both lists have their final place.
    for (const LoraTarget& target : result_.targets_) result_.by_name_.try_emplace(target.module, &target);
    for (const auto& [name, target] : aliases_) result_.by_name_.try_emplace(name, &result_.targets_[target]);
    for (const LoraTarget& part : result_.parts_) result_.by_name_.try_emplace(part.module, &part);
  }

 private:
  void add(const std::string& key) {
    const TensorInfo info = checkpoint_.info(key);
    if (info.shape.size() < 2) return;
    const Component& component = component_of(key);
    if (component.module_prefix.empty()) return;
    switch (component.layout) {
      case Component::Layout::as_stored:
        return add_stored(component, key, info);
      case Component::Layout::ldm_unet:
        add_stored(component, key, info);
        return add_diffusers_unet_name(component, key);
      case Component::Layout::clip_l:
      case Component::Layout::open_clip:
        return add_mapped(component, key, info);
    }
  }

  void add_stored(const Component& component, const std::string& key, const TensorInfo& info) {
    if (!key.ends_with(kWeight)) return;
    const std::string path = underscored(std::string_view(key).substr(
        component.key_prefix.size(), key.size() - component.key_prefix.size() - kWeight.size()));
    push(component, path, key, 0, info.shape[0]);
  }

  // SD 1.x and 2.x LoRAs, and some for SDXL, have Diffusers' names for the U-Net's blocks.
  void add_diffusers_unet_name(const Component& component, const std::string& key) {
    if (!unet_map_) {
      const auto layout = ldm_unet_layout(checkpoint_);
      unet_map_ = layout ? sd_unet_name_map(*layout) : NameMap();
      is_ldm_unet_ = layout.has_value();
    }
    if (!is_ldm_unet_ || !key.ends_with(kWeight)) return;
    const auto names = unet_map_->to_model(key);
    if (names.empty()) return;
    std::string_view path = names[0].name;
    path.remove_suffix(kWeight.size());
    const std::string diffusers = std::string(component.module_prefix) + underscored(path);
    const bool is_sdxl = checkpoint_.contains("model.diffusion_model.label_emb.0.0.weight");
    LoraTarget& target = result_.targets_.back();
    if (is_sdxl) {
      aliases_.emplace_back(diffusers, result_.targets_.size() - 1);
    } else {
      aliases_.emplace_back(target.module, result_.targets_.size() - 1);
      target.module = diffusers;
    }
  }

  void add_mapped(const Component& component, const std::string& key, const TensorInfo& info) {
    for (const NameMap::Name& name : map_of(component).to_model(key)) {
      if (!name.name.ends_with(kWeight)) continue;
      const int64_t rows = info.shape[0] / name.transform.num_parts;
      push(component, underscored(name.name.substr(0, name.name.size() - kWeight.size())), key,
           name.transform.part * rows, rows);
    }
  }

  void push(const Component& component, const std::string& path, const std::string& key, int64_t first, int64_t rows) {
    if (!component.alias.empty()) aliases_.emplace_back(std::string(component.alias) + path, result_.targets_.size());
    result_.targets_.push_back({std::string(component.module_prefix) + path, key, first, rows});
  }

  void add_renamed(const std::string& root) {
    const auto has = [&](const std::string& path) { return checkpoint_.contains(root + path); };
    for (int i = 0; has(fmt::format("double_blocks.{}.img_attn.qkv.weight", i)); ++i) {
      for (const Renamed& r : kFluxDouble) {
        add_part(fmt::format("transformer_blocks_{}_", i), fmt::format("{}double_blocks.{}.", root, i), r);
      }
    }
    for (int i = 0; has(fmt::format("single_blocks.{}.linear1.weight", i)); ++i) {
      const std::string name = fmt::format("single_transformer_blocks_{}_", i),
                        path = fmt::format("{}single_blocks.{}.", root, i);
      for (const Renamed& r : kFluxSingle) add_part(name, path, r);
      // linear1 is q, k and v, as wide as the input, and the MLP in the rest of its rows.
      const auto shape = checkpoint_.info(path + "linear1.weight").shape;
      const int64_t width = shape.size() == 2 ? shape[1] : 0;
      if (width == 0 || shape[0] < 3 * width) continue;
      int64_t first = 0;
      for (const char* part : {"attn_to_q", "attn_to_k", "attn_to_v"}) {
        push_part(name + part, path + "linear1.weight", first, width);
        first += width;
      }
      push_part(name + "proj_mlp", path + "linear1.weight", first, shape[0] - first);
    }
    if (has("double_blocks.0.img_attn.qkv.weight")) {
      for (const Renamed& r : kFluxOuter) add_part("", root, r);
    }
    for (int i = 0; has(fmt::format("joint_blocks.{}.x_block.attn.qkv.weight", i)); ++i) {
      for (const Renamed& r : kSd3Joint) {
        add_part(fmt::format("transformer_blocks_{}_", i), fmt::format("{}joint_blocks.{}.", root, i), r);
      }
    }
  }

  void add_part(const std::string& name_prefix, const std::string& key_prefix, const Renamed& renamed) {
    const std::string key = key_prefix + std::string(renamed.original) + std::string(kWeight);
    if (!checkpoint_.contains(key)) return;
    const int64_t rows = checkpoint_.info(key).shape[0] / renamed.num_parts;
    push_part(name_prefix + std::string(renamed.diffusers), key, renamed.part * rows, rows);
  }
  void push_part(const std::string& path, const std::string& key, int64_t first, int64_t rows) {
    result_.parts_.push_back({"lora_unet_" + path, key, first, rows});
  }

  const NameMap& map_of(const Component& component) {
    const auto [place, is_new] = maps_.try_emplace(component.key_prefix);
    if (is_new) {
      const std::string prefix(component.key_prefix);
      // SD 2.x takes the last layer but one's output, so that the last has no LoRA.
      const int num_layers = count_resblocks(checkpoint_, prefix) - (prefix == kSd2TextEncoder ? 1 : 0);
      place->second = component.layout == Component::Layout::clip_l ? clip_l_name_map(prefix)
                                                                    : open_clip_name_map(num_layers, prefix);
    }
    return place->second;
  }

  const TensorSource& checkpoint_;
  LoraTargets& result_;
  std::vector<std::pair<std::string, size_t>> aliases_;
  std::optional<NameMap> unet_map_;
  bool is_ldm_unet_ = false;
  std::unordered_map<std::string_view, NameMap> maps_;
};

LoraTargets::LoraTargets(const TensorSource& checkpoint) { Builder(checkpoint, *this).build(); }

const LoraTarget* LoraTargets::find(std::string_view module) const {
  const auto found = by_name_.find(sd_scripts_module_name(module));
  return found == by_name_.end() ? nullptr : found->second;
}

std::string sd_scripts_module_name(std::string_view module) {
  if (module.starts_with("base_model.model.")) module.remove_prefix(17);
  const Spelling& spelling = *std::find_if(kPrefixes.begin(), kPrefixes.end(),
                                           [&](const Spelling& s) { return module.starts_with(s.prefix); });
  std::string path = underscored(module.substr(spelling.prefix.size()));
  replace_all(path, "_processor_to_", "_to_");  // Diffusers before 0.22 kept LoRAs in attention processors
  if (path.ends_with("_to_out")) path += "_0";
  return std::string(spelling.becomes) + path;
}

std::string_view lora_family_name(const std::vector<std::string>& modules) {
  struct Sign {
    std::string_view part, family;
  };
  // The first sign that any module bears counts.
  static constexpr Sign kSigns[] = {
      {"_single_blocks_", "FLUX.1"},
      {"_double_blocks_", "FLUX.1"},
      {"_single_transformer_blocks_", "FLUX.1"},
      {"_joint_blocks_", "Stable Diffusion 3"},
      {"_context_refiner_", "Lumina-Image 2.0"},
      {"lora_unet_transformer_blocks_", "FLUX.1 or Stable Diffusion 3"},
      {"lora_unet_input_blocks_", "Stable Diffusion XL"},
      {"lora_unet_output_blocks_", "Stable Diffusion XL"},
      {"_transformer_blocks_2_", "Stable Diffusion XL"},  // its transformers are deeper than those of SD 1.x
      {"lora_te_", "Stable Diffusion 1.x or 2.x"},
      {"lora_unet_down_blocks_0_attentions_", "Stable Diffusion 1.x or 2.x"},
  };
  for (const Sign& sign : kSigns) {
    for (const std::string& module : modules) {
      if (sd_scripts_module_name(module).find(sign.part) != std::string::npos) return sign.family;
    }
  }
  return "";
}

}  // namespace difftune
