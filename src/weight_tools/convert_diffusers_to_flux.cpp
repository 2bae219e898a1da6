#include "weight_tools/convert_diffusers_to_flux.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "families/flux/flux_name_map.h"
#include "weights/joined_source.h"
#include "weights/open_weights.h"

namespace difftune {
namespace {

constexpr std::string_view kFirstShard = "00001-of-";

// The files of "NAME-00001-of-00003.safetensors".
std::shared_ptr<const TensorSource> open_shards(const fs::path& first) {
  const std::string name = first.filename().string();
  const size_t at = name.find(kFirstShard);
  int num_shards = 0;
  std::from_chars(name.data() + at + kFirstShard.size(), name.data() + name.size(), num_shards);
  std::vector<JoinedSource::Part> parts;
  for (int shard = 1; shard <= num_shards; ++shard) {
    std::string shard_name = name;
    shard_name.replace(at, 5, fmt::format("{:05}", shard));
    parts.push_back({"", open_weights(first.parent_path() / shard_name)});
  }
  if (parts.empty()) fail("{}: its name gives no number of files", first.string());
  return std::make_shared<JoinedSource>(first.parent_path(), std::move(parts));
}

std::shared_ptr<const TensorSource> open_transformer(const fs::path& path) {
  std::error_code ec;
  if (!fs::exists(path, ec)) fail("{}: there is no such file or folder", path.string());
  if (!fs::is_directory(path, ec)) {
    const bool is_first = path.filename().string().find(kFirstShard) != std::string::npos;
    return is_first ? open_shards(path) : open_weights(path);
  }
  const fs::path folder = fs::is_directory(path / "transformer", ec) ? path / "transformer" : path;
  // Without an index.json the names of the files have to do.
  if (!fs::exists(folder / "diffusion_pytorch_model.safetensors.index.json", ec)) {
    for (const auto& entry : fs::directory_iterator(folder, ec)) {
      const std::string name = entry.path().filename().string();
      if (name.find(kFirstShard) != std::string::npos && name.ends_with(".safetensors"))
        return open_shards(entry.path());
    }
  }
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
