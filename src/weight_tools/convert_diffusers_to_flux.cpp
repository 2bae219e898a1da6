#include "weight_tools/convert_diffusers_to_flux.h"

#include "base/error.h"
#include "families/flux/flux_name_map.h"
#include "weights/open_weights.h"

namespace difftune {
namespace {

std::shared_ptr<const TensorSource> open_transformer(const fs::path& path) {
  std::error_code ec;
  if (!fs::exists(path, ec)) fail("{}: there is no such file or folder", path.string());
  if (!fs::is_directory(path, ec)) return open_sharded_weights(path);
  const fs::path folder = fs::is_directory(path / "transformer", ec) ? path / "transformer" : path;
  return open_component_folder(folder);
}

}  // namespace

std::vector<TensorRecipe> plan_diffusers_to_flux(const fs::path& path, std::optional<c10::ScalarType> save_dtype) {
  const std::shared_ptr<const TensorSource> transformer = open_transformer(path);
  const NameMap map = flux_diffusers_name_map();
  const std::string known = "transformer_blocks.0.attn.to_q.weight";
  if (!transformer->contains(known)) {
    const bool is_bfl = transformer->contains("double_blocks.0.img_attn.qkv.weight") ||
                        transformer->contains("model.diffusion_model.double_blocks.0.img_attn.qkv.weight");
    fail("{}: is no FLUX.1 transformer in Diffusers' layout (it has no '{}'){}", path.string(), known,
         is_bfl ? "; it has Black Forest Labs' layout already" : "");
  }
  map.require_complete(*transformer);
  const auto flux = map.to_checkpoint(transformer);
  std::vector<TensorRecipe> recipes;
  for (const std::string& key : flux->keys()) recipes.push_back(copy_recipe(key, {flux, key}, save_dtype));
  return recipes;
}

}  // namespace difftune
