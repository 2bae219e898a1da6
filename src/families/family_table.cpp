#include "families/family_table.h"

#include <algorithm>

#include "base/error.h"
#include "families/sd/sd_family.h"
#include "weights/open_weights.h"

namespace difftune {
namespace {

bool has_key_ending(const TensorSource& source, std::string_view ending) {
  const auto keys = source.keys();
  return std::any_of(keys.begin(), keys.end(), [&](const std::string& key) { return key.ends_with(ending); });
}

bool is_lora(const TensorSource& s) {
  return has_key_ending(s, ".lora_down.weight") || has_key_ending(s, ".lora_A.weight");
}
bool is_flux(const TensorSource& s) {
  return has_key_ending(s, "double_blocks.0.img_attn.qkv.weight") &&
         !has_key_ending(s, "distilled_guidance_layer.norms.0.scale");
}
bool is_chroma(const TensorSource& s) { return has_key_ending(s, "distilled_guidance_layer.norms.0.scale"); }
bool is_sd3(const TensorSource& s) { return has_key_ending(s, "joint_blocks.0.x_block.attn.qkv.weight"); }
bool is_lumina(const TensorSource& s) { return has_key_ending(s, "context_refiner.0.attention.qkv.weight"); }
bool is_sdxl(const TensorSource& s) {
  return has_key_ending(s, "label_emb.0.0.weight") || has_key_ending(s, "unet.add_embedding.linear_1.weight");
}

}  // namespace

const std::vector<FamilyRow>& family_table() {
  static const std::vector<FamilyRow> rows = {
      {"a LoRA, not a checkpoint", "", is_lora, nullptr},
      {"Chroma", "flux_train_network --model_type chroma", is_chroma, nullptr},
      {"FLUX.1", "flux_train_network", is_flux, nullptr},
      {"Stable Diffusion 3", "sd3_train_network", is_sd3, nullptr},
      {"Lumina-Image 2.0", "lumina_train_network", is_lumina, nullptr},
      {"Stable Diffusion XL", "sdxl_train_network", is_sdxl, nullptr},
      {"Stable Diffusion 2.x", "train_network", is_sd2, make_sd_family},
      {"Stable Diffusion 1.x", "train_network", is_sd1, make_sd_family},
  };
  return rows;
}

std::unique_ptr<ModelFamily> open_model(const ModelRequest& request, std::string_view command, bool is_v2) {
  const std::string path = request.checkpoint.string();
  if (path.empty()) {
    throw UsageError("--pretrained_model_name_or_path is missing: the checkpoint file or Diffusers folder to train on");
  }
  if (!fs::exists(request.checkpoint)) {
    fail(
        "--pretrained_model_name_or_path {}: there is no such file or folder. Models are not downloaded: give the path "
        "of a checkpoint on this machine",
        path);
  }
  std::shared_ptr<const TensorSource> checkpoint;
  if (fs::is_directory(request.checkpoint)) {
    if (!is_diffusers_folder(request.checkpoint)) {
      fail("--pretrained_model_name_or_path {}: the folder is not a Diffusers model (no model_index.json and no unet/)",
           path);
    }
    checkpoint = open_diffusers_folder(request.checkpoint, {"unet", "vae", "text_encoder"});
  } else {
    checkpoint = open_weights(request.checkpoint);
  }
  for (const auto& row : family_table()) {
    if (!row.matches(*checkpoint)) continue;
    if (row.train_command != command) {
      fail("{}: this is {}, which `difftune {}` does not train{}", path, row.name, command,
           row.train_command.empty() ? std::string() : fmt::format("; the command for it is {}", row.train_command));
    }
    const bool found_v2 = row.matches == is_sd2;
    if (found_v2 != is_v2) {
      throw UsageError(fmt::format("{}: this is {}: {} --v2", path, row.name, found_v2 ? "add" : "leave out"));
    }
    return row.make(std::move(checkpoint), request);
  }
  fail("{}: not a checkpoint of a known model family ({} tensors, the first is {})", path, checkpoint->keys().size(),
       checkpoint->keys().empty() ? "none" : checkpoint->keys().front());
}

}  // namespace difftune
