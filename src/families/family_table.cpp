#include "families/family_table.h"

#include <algorithm>

#include "base/error.h"
#include "families/flux/flux_family.h"
#include "families/lora_targets.h"
#include "families/lumina/lumina_family.h"
#include "families/sd/sd_family.h"
#include "families/sd3/sd3_family.h"
#include "families/sdxl/sdxl_family.h"
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

}  // namespace

const std::vector<FamilyRow>& family_table() {
  static const std::vector<FamilyRow> rows = {
      {"a LoRA, not a checkpoint", "", "", is_lora, nullptr},
      {"Chroma", "flux_train_network --model_type chroma", "flux_minimal_inference --model_type chroma", is_chroma,
       make_chroma_family},
      {"FLUX.1", "flux_train_network", "flux_minimal_inference", is_flux, make_flux_family},
      {"Stable Diffusion 3", "sd3_train_network", "sd3_minimal_inference", is_sd3, make_sd3_family},
      {"Lumina-Image 2.0", "lumina_train_network", "lumina_minimal_inference", is_lumina, make_lumina_family},
      {"Stable Diffusion XL", "sdxl_train_network", "sdxl_minimal_inference", is_sdxl, make_sdxl_family},
      {"Stable Diffusion 2.x", "train_network", "", is_sd2, make_sd_family},
      {"Stable Diffusion 1.x", "train_network", "", is_sd1, make_sd_family},
  };
  return rows;
}

namespace {

// The parts of a Diffusers folder that hold weights of ours; those that every such model has are asked for, so that
// their absence is named.
std::shared_ptr<const TensorSource> open_folder(const fs::path& folder) {
  // The other parts of transformer models are named by options of their own.
  if (!fs::is_directory(folder / "unet") && fs::is_directory(folder / "transformer")) {
    return open_diffusers_folder(folder, {"transformer"});
  }
  std::vector<std::string> components = {"unet", "vae", "text_encoder"};
  for (const char* name : {"text_encoder_2", "text_encoder_3"}) {
    if (fs::is_directory(folder / name)) components.emplace_back(name);
  }
  return open_diffusers_folder(folder, components);
}

bool is_inference_command(std::string_view command) {
  return std::any_of(family_table().begin(), family_table().end(),
                     [&](const FamilyRow& row) { return row.inference_command == command; });
}

}  // namespace

RecognisedModel recognise_model(const fs::path& file, std::string_view option) {
  const std::string path = file.string();
  if (path.empty()) {
    throw UsageError(fmt::format("{} is missing: the checkpoint file or Diffusers folder of the model", option));
  }
  if (!fs::exists(file)) {
    fail(
        "{} {}: there is no such file or folder. Models are not downloaded: give the path of a checkpoint on this "
        "machine",
        option, path);
  }
  std::shared_ptr<const TensorSource> checkpoint;
  if (fs::is_directory(file)) {
    if (!is_diffusers_folder(file)) {
      fail("{} {}: the folder is not a Diffusers model (no model_index.json, no unet/ and no transformer/)", option,
           path);
    }
    checkpoint = open_folder(file);
  } else {
    checkpoint = open_sharded_weights(file);
  }
  for (const auto& row : family_table()) {
    if (row.matches(*checkpoint)) return {std::move(checkpoint), &row};
  }
  fail("{}: not a checkpoint of a known model family ({} tensors, the first is {})", path, checkpoint->keys().size(),
       checkpoint->keys().empty() ? "none" : checkpoint->keys().front());
}

void require_lora_for(const TensorSource& lora, const RecognisedModel& model) {
  constexpr std::string_view kDown = ".lora_down.weight";
  std::vector<std::string> modules;
  for (const std::string& key : lora.keys()) {
    if (key.ends_with(kDown)) modules.push_back(key.substr(0, key.size() - kDown.size()));
  }
  const std::string_view family = lora_family_name(modules);
  // Chroma has FLUX's blocks, and LoRAs of both have the same names.
  const std::string_view wanted = model.row->matches == is_chroma ? "FLUX.1" : model.row->name;
  if (family.empty() || family.find(wanted) != family.npos) return;
  fail("{}: this LoRA is for {}, and the model is {}", lora.path().string(), family, model.row->name);
}

std::unique_ptr<ModelFamily> open_model(const ModelRequest& request, std::string_view command, bool is_v2,
                                        std::string_view option) {
  auto [checkpoint, row] = recognise_model(request.checkpoint, option);
  const std::string path = request.checkpoint.string();
  if (row->train_command != command && row->inference_command != command) {
    const bool pictures = is_inference_command(command);
    const std::string_view fitting = pictures ? row->inference_command : row->train_command;
    fail("{}: this is {}, which `difftune {}` does not {}{}", path, row->name, command, pictures ? "take" : "train",
         fitting.empty() ? std::string() : fmt::format("; the command for it is {}", fitting));
  }
  const bool found_v2 = row->matches == is_sd2;
  if (found_v2 != is_v2) {
    throw UsageError(fmt::format("{}: this is {}: {} --v2", path, row->name, found_v2 ? "add" : "leave out"));
  }
  return row->make(std::move(checkpoint), request);
}

}  // namespace difftune
