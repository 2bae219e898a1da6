#include "families/vae_file.h"

#include "base/error.h"
#include "families/sd/sd_config.h"
#include "families/sd/sd_name_map.h"
#include "weights/open_weights.h"

namespace difftune {

VaeFile open_vae_file(const fs::path& path, std::string_view option) {
  if (!fs::exists(path)) fail("{} {}: there is no such file or folder", option, path.string());
  fs::path place = path;
  if (fs::is_directory(path) && fs::is_directory(path / "vae")) place = path / "vae";
  const auto file = fs::is_directory(place) ? open_component_folder(place) : open_weights(place);
  for (const std::string prefix : {"", "first_stage_model.", "vae."}) {
    for (const bool is_diffusers : {false, true}) {
      const std::string probe = prefix + (is_diffusers ? "encoder.down_blocks.0.resnets.0.conv1.weight"
                                                       : "encoder.down.0.block.0.conv1.weight");
      if (!file->contains(probe)) continue;
      VaeFile vae{nullptr, read_vae_config(*file, prefix, is_diffusers)};
      const auto map = is_diffusers ? diffusers_vae_name_map(prefix)
                                    : sd_vae_name_map(static_cast<int>(vae.config.block_channels.size()), prefix);
      vae.tensors = map.to_model(file);
      return vae;
    }
  }
  fail("{} {}: holds no autoencoder (no encoder.down… keys)", option, path.string());
}

}  // namespace difftune
