#include "families/flux/flux_targets.h"

#include "families/target_names.h"

namespace difftune {
namespace {

constexpr const char *kDouble = "double_blocks", *kSingle = "single_blocks";
constexpr const char* kEmbedders[] = {"img_in", "time_in", "vector_in", "guidance_in", "txt_in"};

// "img_attn" of "double_blocks.0.img_attn.qkv"; the two linear layers of a single block are one kind.
std::string kind_of(const std::vector<std::string>& path) {
  if (path[0] == kDouble) return path[2];
  return path[2] == "modulation" ? "single_mod" : "single";
}

}  // namespace

LoraArguments flux_lora_arguments() {
  return {.module = "networks.lora_flux",
          .ranks = {{"img_attn_dim", {"img_attn"}},
                    {"txt_attn_dim", {"txt_attn"}},
                    {"img_mlp_dim", {"img_mlp"}},
                    {"txt_mlp_dim", {"txt_mlp"}},
                    {"img_mod_dim", {"img_mod"}},
                    {"txt_mod_dim", {"txt_mod"}},
                    {"single_dim", {"single"}},
                    {"single_mod_dim", {"single_mod"}}},
          .embedder_ranks = {"in_dims", {std::begin(kEmbedders), std::end(kEmbedders)}},
          .blocks = {{"train_double_block_indices", kDouble}, {"train_single_block_indices", kSingle}},
          .train_blocks = {{"all", {kDouble, kSingle}}, {"double", {kDouble}}, {"single", {kSingle}}},
          .has_split_qkv = true,
          .has_ggpo = true,
          .has_patterns = true,
          .has_t5 = true,
          .logs_gradient_norms = true,
          .lists_text_rates = true};
}

void add_flux_targets(const nn::ModelIndex& index, const FluxConfig& config, std::vector<AdapterTarget>& targets) {
  for (nn::Layer* layer : index.layers) {
    const auto path = split_path(layer->path());
    if (path[0] != kDouble && path[0] != kSingle) continue;
    AdapterTarget target{layer, target_name("lora_unet", layer->path())};
    target.kind = kind_of(path);
    target.group = path[0];
    target.block = std::stoll(path[1]);
    const int64_t size = config.hidden_size;
    if (path.back() == "qkv") target.part_sizes = {size, size, size};
    if (path.back() == "linear1") target.part_sizes = {size, size, size, config.mlp_size};
    targets.push_back(std::move(target));
  }
  for (const char* embedder : kEmbedders) {
    for (nn::Layer* layer : index.layers) {
      if (split_path(layer->path())[0] != embedder) continue;
      AdapterTarget target{layer, target_name("lora_unet", layer->path())};
      target.kind = embedder;
      target.is_default = false;
      targets.push_back(std::move(target));
    }
  }
}

}  // namespace difftune
