#include "weight_tools/merge_sd3_safetensors.h"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "weights/open_weights.h"

namespace difftune {
namespace {

struct PartLayout {
  const char* name;
  std::vector<std::string> prefixes;  // the first is put before a key that has none of them
};

class Planner {
 public:
  explicit Planner(std::optional<c10::ScalarType> dtype) : dtype_(dtype) {}

  std::shared_ptr<const TensorSource> add(const fs::path& path, const PartLayout& layout) {
    const std::shared_ptr<const TensorSource> source = open_weights(path);
    for (const std::string& key : source->keys()) {
      const bool has_prefix = std::any_of(layout.prefixes.begin(), layout.prefixes.end(),
                                          [&](const std::string& prefix) { return key.starts_with(prefix); });
      TensorRecipe recipe = copy_recipe(has_prefix ? key : layout.prefixes[0] + key, {source, key}, dtype_);
      const auto [place, is_new] = places_.emplace(recipe.tensor.name, plan_.recipes.size());
      if (is_new) {
        plan_.recipes.push_back(std::move(recipe));
      } else {
        plan_.recipes[place->second] = std::move(recipe);
      }
    }
    plan_.parts.push_back({layout.name, source->keys().size()});
    return source;
  }

  MergeSd3Plan& plan() { return plan_; }

 private:
  std::optional<c10::ScalarType> dtype_;
  std::unordered_map<std::string, size_t> places_;
  MergeSd3Plan plan_;
};

}  // namespace

MergeSd3Plan plan_merge_sd3(const MergeSd3Request& request) {
  Planner planner(request.save_dtype);
  // A whole checkpoint in the place of the DiT keeps its text encoders.
  const auto dit =
      planner.add(request.dit, {"DiT", {"model.diffusion_model.", "first_stage_model.", "text_encoders."}});
  if (request.vae) planner.add(*request.vae, {"VAE", {"first_stage_model."}});
  const auto text_encoder = [&](const std::optional<fs::path>& path, const char* name, const std::string& prefix) {
    if (path) planner.add(*path, {name, {prefix}});
  };
  text_encoder(request.clip_l, "CLIP-L", "text_encoders.clip_l.transformer.");
  text_encoder(request.clip_g, "CLIP-G", "text_encoders.clip_g.transformer.");
  text_encoder(request.t5xxl, "T5-XXL", "text_encoders.t5xxl.transformer.");

  MergeSd3Plan plan = std::move(planner.plan());
  if (!dit->metadata().empty()) plan.metadata = dit->metadata();
  plan.has_mmdit = std::any_of(plan.recipes.begin(), plan.recipes.end(), [](const TensorRecipe& recipe) {
    return recipe.tensor.name.starts_with("model.diffusion_model.joint_blocks.");
  });
  return plan;
}

}  // namespace difftune
