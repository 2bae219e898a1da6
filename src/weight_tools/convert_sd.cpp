#include "weight_tools/convert_sd.h"

#include <ATen/ops/ones.h>
#include <ATen/ops/scalar_tensor.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "families/sd/sd_parts.h"
#include "weights/open_weights.h"
#include "weights/torch_pickle.h"

namespace difftune {
namespace {

SdParts open_parts(const ConvertSdRequest& request) {
  std::error_code ec;
  const fs::path& path = request.input;
  if (!fs::exists(path, ec)) fail("{}: there is no such file or folder; models are not downloaded", path.string());
  const bool is_file = !fs::is_directory(path, ec);
  if (is_file && request.is_v1 && request.is_v2) throw UsageError("--v1 and --v2: a model is of one version");
  const auto says_v2 = request.is_v1 != request.is_v2 ? std::optional(request.is_v2) : std::nullopt;
  return open_sd_parts(
      is_file ? open_weights(path) : open_diffusers_folder(path, {"unet", "vae", "text_encoder"}, request.variant),
      says_v2);
}

void append(std::vector<TensorRecipe>& recipes, const std::shared_ptr<const TensorSource>& source,
            c10::ScalarType dtype) {
  for (const std::string& key : source->keys()) recipes.push_back(copy_recipe(key, {source, key}, dtype));
}

// What a Diffusers folder of SD 2.x lacks: see SdFilePlan.
void append_made_up(std::vector<TensorRecipe>& recipes, const SdConfig& config, const ConvertSdRequest& request,
                    c10::ScalarType dtype) {
  const std::string root = "cond_stage_model.model.";
  const auto layer = [&](int64_t number) { return fmt::format("{}transformer.resblocks.{}.", root, number); };
  const std::string last = layer(config.text.num_layers - 1), beyond = layer(config.text.num_layers);
  std::vector<TensorRecipe> copies;
  for (const TensorRecipe& recipe : recipes) {
    if (!recipe.tensor.name.starts_with(last)) continue;
    TensorRecipe copy = recipe;
    copy.tensor.name = beyond + recipe.tensor.name.substr(last.size());
    copies.push_back(std::move(copy));
  }
  recipes.insert(recipes.end(), copies.begin(), copies.end());
  const int64_t size = config.text.hidden_size;
  recipes.push_back({{root + "text_projection", dtype, {size, size}}, [size] { return at::ones({size, size}); }, {}});
  recipes.push_back({{root + "logit_scale", request.save_dtype.value_or(c10::ScalarType::Long), {}},
                     [] { return at::scalar_tensor(1, at::kLong); },
                     {}});
}

// A checkpoint file again: the tensors of its parts converted, the others as they are.
void append_rewritten(std::vector<TensorRecipe>& recipes, const SdParts& parts, c10::ScalarType dtype) {
  const SdMaps maps = sd_maps(parts.config);
  for (const std::string& key : parts.checkpoint->keys()) {
    std::string name = key;
    bool is_converted = false;
    for (const NameMap* map : {&maps.unet, &maps.vae, &maps.text}) {
      const auto names = map->to_model(key);
      if (names.empty()) continue;
      is_converted = true;
      name = map->to_checkpoint(names[0].name)->name;  // with "text_model." where it was left out
    }
    recipes.push_back(copy_recipe(name, {parts.checkpoint, key}, is_converted ? std::optional(dtype) : std::nullopt));
  }
}

bool is_built_in(const fs::path& model) {
  for (const char* id : {"runwayml/stable-diffusion-v1-5", "stable-diffusion-v1-5/stable-diffusion-v1-5",
                         "stabilityai/stable-diffusion-2-1"}) {
    if (model == id) return true;
  }
  return false;
}

// The scheduler's configuration, as one of DDIM, and the tokenizer's files.
std::vector<std::pair<std::string, std::string>> files_of(const fs::path& model) {
  if (!is_diffusers_folder(model)) {
    fail(
        "--reference_model {}: is no Diffusers folder on this machine; models are not downloaded. Without it, the "
        "scheduler and tokenizer are those of Stable Diffusion 1.5 or 2.1",
        model.string());
  }
  const fs::path scheduler = model / "scheduler" / "scheduler_config.json";
  nlohmann::ordered_json config = nlohmann::ordered_json::parse(read_file(scheduler), nullptr, false);
  if (!config.is_object()) fail("{}: is not a JSON object", scheduler.string());
  config["_class_name"] = "DDIMScheduler";
  std::vector<std::pair<std::string, std::string>> files = {{"scheduler/scheduler_config.json", config.dump(2) + "\n"}};
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator(model / "tokenizer", ec)) {
    if (entry.is_regular_file()) {
      files.emplace_back("tokenizer/" + entry.path().filename().string(), read_file(entry.path()));
    }
  }
  if (files.size() == 1) fail("{}: has no tokenizer", model.string());
  return files;
}

}  // namespace

SdFilePlan plan_sd_file(const ConvertSdRequest& request) {
  const SdParts parts = open_parts(request);
  const c10::ScalarType dtype = request.save_dtype.value_or(c10::ScalarType::Float);
  SdFilePlan plan;
  plan.is_v2 = parts.config.is_v2;
  plan.beside = {{"epoch", request.epoch}, {"global_step", request.global_step}};
  if (!parts.config.is_diffusers) {
    append_rewritten(plan.recipes, parts, dtype);
    if (const auto* ckpt = dynamic_cast<const TorchCheckpoint*>(parts.checkpoint.get())) {
      for (auto& [name, value] : plan.beside) value += ckpt->integer(name).value_or(0);
    }
    return plan;
  }
  const SdMaps maps = sd_ldm_maps(parts.config);
  append(plan.recipes, maps.unet.to_checkpoint(parts.unet), dtype);
  append(plan.recipes, maps.text.to_checkpoint(parts.text), dtype);
  if (plan.is_v2) append_made_up(plan.recipes, parts.config, request, dtype);
  append(plan.recipes, maps.vae.to_checkpoint(parts.vae), dtype);
  return plan;
}

SdFolderPlan plan_sd_folder(const ConvertSdRequest& request, const std::optional<fs::path>& reference_model) {
  const SdParts parts = open_parts(request);
  const c10::ScalarType dtype =
      request.is_loaded_as_fp16 && parts.config.is_diffusers ? c10::ScalarType::Half : c10::ScalarType::Float;
  SdFolderPlan plan;
  plan.is_v2 = parts.config.is_v2;
  plan.components = {
      {"unet", "diffusion_pytorch_model", {}}, {"vae", "diffusion_pytorch_model", {}}, {"text_encoder", "", {}}};
  append(plan.components[0].recipes, parts.unet, dtype);
  append(plan.components[1].recipes, parts.vae, dtype);
  append(plan.components[2].recipes, parts.text, dtype);
  const bool is_linear = plan.is_v2 && request.uses_linear_projection;
  for (TensorRecipe& recipe : plan.components[0].recipes) {
    const std::string& name = recipe.tensor.name;
    if (!name.ends_with(".proj_in.weight") && !name.ends_with(".proj_out.weight")) continue;
    std::vector<int64_t>& shape = recipe.tensor.shape;
    shape.resize(2);
    if (!is_linear) shape.insert(shape.end(), {1, 1});
    recipe.make = [make = recipe.make, shape] { return make().reshape(shape); };
  }
  plan.files = sd_diffusers_configs(parts.config, is_linear);
  const auto add = [&](std::vector<std::pair<std::string, std::string>> files) {
    for (auto& [path, content] : files) {
      const auto same =
          std::find_if(plan.files.begin(), plan.files.end(), [&](const auto& file) { return file.first == path; });
      if (same != plan.files.end()) {
        same->second = std::move(content);
      } else {
        plan.files.emplace_back(path, std::move(content));
      }
    }
  };
  add(reference_model && !is_built_in(*reference_model) ? files_of(*reference_model) : sd_tokenizer_files(plan.is_v2));
  return plan;
}

void write_sd_folder(const fs::path& path, const SdFolderPlan& plan, bool as_safetensors) {
  write_folder_atomically(path, [&](const fs::path& folder) {
    for (const auto& [name, content] : plan.files) {
      fs::create_directories((folder / name).parent_path());
      write_file_atomically(folder / name, content);
    }
    for (const SdFolderPlan::Component& component : plan.components) {
      // Transformers has other names for its files than Diffusers.
      const std::string file = !component.file.empty() ? component.file : as_safetensors ? "model" : "pytorch_model";
      CheckpointOutput output;
      output.path = folder / component.folder / (file + (as_safetensors ? ".safetensors" : ".bin"));
      output.metadata = Metadata{{"format", "pt"}};
      write_checkpoint(output, component.recipes, component.folder);
    }
  });
}

}  // namespace difftune
