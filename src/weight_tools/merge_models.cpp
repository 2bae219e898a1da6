#include "weight_tools/merge_models.h"

#include <ATen/ops/mul.h>

#include <map>
#include <unordered_map>

#include "base/error.h"
#include "weights/open_weights.h"

namespace difftune {
namespace {

// SD 1.x text encoders saved by newer versions of Transformers lack one level.
std::string with_text_model(const std::string& key) {
  const std::string root = "cond_stage_model.transformer.";
  for (const char* part : {"embeddings.", "encoder.", "final_layer_norm."}) {
    if (key.starts_with(root + part)) return root + "text_model." + key.substr(root.size());
  }
  return key;
}

bool is_denoiser(const std::string& key) {
  const auto has = [&](const char* part) { return key.find(part) != std::string::npos; };
  return !has("first_stage_model") && !has("cond_stage_model") && !has("conditioner.");
}

struct Model {
  std::shared_ptr<const TensorSource> source;
  double ratio;
  std::vector<std::string> names;                     // in the file's order, with text_model
  std::unordered_map<std::string, std::string> keys;  // name -> the file's key
};

Model open_model(const fs::path& path, double ratio) {
  Model model{open_weights(path), ratio, {}, {}};
  for (const std::string& key : model.source->keys()) {
    std::string name = with_text_model(key);
    const auto [place, is_new] = model.keys.emplace(name, key);
    if (!is_new) fail("{}: holds both '{}' and '{}', which are one tensor", path.string(), place->second, key);
    model.names.push_back(std::move(name));
  }
  return model;
}

struct Term {
  TensorRecipe::Input input;
  double ratio;
};

at::Tensor sum(const std::vector<Term>& terms, c10::ScalarType dtype) {
  at::Tensor result;
  for (const Term& term : terms) {
    const at::Tensor product = at::mul(term.input.source->tensor(term.input.key).to(dtype), term.ratio);
    if (result.defined()) {
      result.add_(product);
    } else {
      result = product;
    }
  }
  return result;
}

class Planner {
 public:
  explicit Planner(const MergeModelsRequest& request) : request_(request) {
    for (size_t i = 0; i < request.models.size(); ++i) {
      const double equal = 1.0 / static_cast<double>(request.models.size());
      models_.push_back(open_model(request.models[i], request.ratios.empty() ? equal : request.ratios[i]));
    }
  }

  MergeModelsPlan plan() {
    for (const std::string& name : models_[0].names) add(name);
    if (models_.size() > 1 && plan_.num_merged == 0 && !has_any_common_) {
      fail("{} and {} have no tensor in common{}; are they of one architecture?", models_[0].source->path().string(),
           models_[1].source->path().string(), request_.unet_only ? " outside VAE and text encoders" : "");
    }
    for (size_t i = 1; i < models_.size(); ++i) {
      for (const std::string& name : models_[i].names) {
        if (models_[0].keys.contains(name)) continue;
        plan_.skipped.push_back(fmt::format("{}: {}", models_[i].source->path().string(), name));
      }
    }
    return std::move(plan_);
  }

 private:
  void add(const std::string& name) {
    const Model& first = models_[0];
    const TensorRecipe::Input own{first.source, first.keys.at(name)};
    if (request_.unet_only && !is_denoiser(name)) {
      ++plan_.num_first_only;
      add_recipe(name, {{own, 1.0}});
      return;
    }
    std::vector<Term> terms = {{own, first.ratio}};
    bool is_missing = false;
    double missing_ratio = 0;
    for (size_t i = 1; i < models_.size(); ++i) {
      const Model& model = models_[i];
      const auto found = model.keys.find(name);
      if (found != model.keys.end()) {
        has_any_common_ = true;
        require_same_shape(own, {model.source, found->second});
        terms.push_back({{model.source, found->second}, model.ratio});
      }
      const bool counts_as_missing =
          request_.reference_quirks ? !model.source->contains(name) : found == model.keys.end();
      if (counts_as_missing) {
        is_missing = true;
        missing_ratio += model.ratio;
      }
    }
    if (is_missing) {
      terms.push_back({own, missing_ratio});
      plan_.missing_in_some.push_back(name);
    } else {
      ++plan_.num_merged;
    }
    add_recipe(name, std::move(terms));
  }

  void require_same_shape(const TensorRecipe::Input& a, const TensorRecipe::Input& b) const {
    const TensorInfo first = a.source->info(a.key), other = b.source->info(b.key);
    if (first.shape == other.shape) return;
    fail("{}: tensor '{}' is {}, but in {} it is {}; the models are of different architectures",
         b.source->path().string(), b.key, describe(other), a.source->path().string(), describe(first));
  }

  void add_recipe(const std::string& name, std::vector<Term> terms) {
    TensorRecipe recipe;
    const TensorRecipe::Input& first = terms[0].input;
    recipe.tensor = {name, request_.save_dtype, first.source->info(first.key).shape};
    for (const Term& term : terms) recipe.inputs.push_back(term.input);
    recipe.make = [terms = std::move(terms), dtype = request_.compute_dtype] { return sum(terms, dtype); };
    plan_.recipes.push_back(std::move(recipe));
  }

  const MergeModelsRequest& request_;
  std::vector<Model> models_;
  bool has_any_common_ = false;
  MergeModelsPlan plan_;
};

}  // namespace

MergeModelsPlan plan_merge_models(const MergeModelsRequest& request) {
  if (request.models.empty()) throw UsageError("--models is missing: the checkpoints to merge");
  if (!request.ratios.empty() && request.ratios.size() != request.models.size()) {
    throw UsageError(fmt::format("--ratios has {} numbers for {} --models; give one for each, or none for equal ones",
                                 request.ratios.size(), request.models.size()));
  }
  return Planner(request).plan();
}

}  // namespace difftune
