#include "families/sd3/sd3_targets.h"

#include "families/target_names.h"

namespace difftune {
namespace {

constexpr const char* kBlocks = "joint_blocks";
// In the order of emb_dims, with the paths that they begin.
constexpr std::pair<const char*, const char*> kEmbedders[] = {{"context", "context_embedder"},
                                                              {"t", "t_embedder."},
                                                              {"x", "x_embedder."},
                                                              {"y", "y_embedder."},
                                                              {"final_mod", "final_layer.adaLN_modulation"},
                                                              {"final_linear", "final_layer.linear"}};

// "context attn", "x mod": the half of the block and the part of the half.
std::string kind_of(const std::vector<std::string>& path) {
  const std::string half = path[2] == "context_block" ? "context" : "x";
  if (path[3] == "adaLN_modulation") return half + " mod";
  return half + (path[3] == "mlp" ? " mlp" : " attn");
}

}  // namespace

LoraArguments sd3_lora_arguments() {
  LoraArguments known{.module = "networks.lora_sd3",
                      .ranks = {{"context_attn_dim", {"context attn"}},
                                {"context_mlp_dim", {"context mlp"}},
                                {"context_mod_dim", {"context mod"}},
                                {"x_attn_dim", {"x attn"}},
                                {"x_mlp_dim", {"x mlp"}},
                                {"x_mod_dim", {"x mod"}}},
                      .embedder_ranks = {"emb_dims", {}},
                      .blocks = {{"train_block_indices", kBlocks}},
                      .has_split_qkv = true,
                      .has_t5 = true,
                      .lists_text_rates = true};
  for (const auto& [kind, path] : kEmbedders) known.embedder_ranks.kinds.emplace_back(kind);
  return known;
}

void add_sd3_targets(const MMDiT& model, std::vector<AdapterTarget>& targets) {
  for (nn::Layer* layer : model.index().layers) {
    const auto path = split_path(layer->path());
    if (path[0] != kBlocks) continue;
    AdapterTarget target{layer, target_name("lora_unet", layer->path())};
    target.kind = kind_of(path);
    target.group = kBlocks;
    target.block = std::stoll(path[1]);
    const int64_t size = model.config().hidden_size;
    if (path.back() == "qkv") target.part_sizes = {size, size, size};
    targets.push_back(std::move(target));
  }
  for (const auto& [kind, begin] : kEmbedders) {
    for (nn::Layer* layer : model.index().layers) {
      if (!layer->path().starts_with(begin)) continue;
      AdapterTarget target{layer, target_name("lora_unet", layer->path())};
      target.kind = kind;
      target.is_default = false;
      targets.push_back(std::move(target));
    }
  }
}

}  // namespace difftune
