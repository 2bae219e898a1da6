#include "families/lumina/lumina_targets.h"

#include "families/target_names.h"

namespace difftune {
namespace {

constexpr const char *kContext = "context_refiner", *kNoise = "noise_refiner", *kLayers = "layers",
                     *kLast = "final_layer";
constexpr const char* kEmbedders[] = {"x_embedder", "t_embedder", "cap_embedder"};

// The parts of a block, those of refiners apart, because refiner_dim is theirs where no other argument names the part.
std::string kind_of(const std::vector<std::string>& path) {
  const std::string refiner = path[0] == kContext || path[0] == kNoise ? "refiner " : "";
  const std::string& part = path[0] == kLast ? path[1] : path[2];
  if (part == "linear") return "last";
  if (part == "attention") return refiner + "attention";
  if (part == "adaLN_modulation") return refiner + "modulation";
  return refiner + "feed_forward";
}

}  // namespace

LoraArguments lumina_lora_arguments(bool reference_quirks) {
  using Rank = LoraArguments::Rank;
  const Rank mlp = reference_quirks ? Rank{.name = "mlp_dim", .kinds = {"t_embedder"}, .is_for_others = true}
                                    : Rank{.name = "mlp_dim", .kinds = {"feed_forward", "refiner feed_forward"}};
  return {.module = "networks.lora_lumina",
          .ranks = {{"attn_dim", {"attention", "refiner attention"}},
                    mlp,
                    {"mod_dim", {"modulation", "refiner modulation"}},
                    {.name = "refiner_dim",
                     .kinds = {"refiner attention", "refiner modulation", "refiner feed_forward"},
                     .gives_way = true}},
          .embedder_ranks = {"embedder_dims", {std::begin(kEmbedders), std::end(kEmbedders)}},
          .train_blocks = {{"all", {kContext, kNoise, kLayers, kLast}},
                           {"transformer", {kLayers}},
                           {"refiners", {kNoise, kContext}},
                           {"noise_refiner", {kNoise}},
                           {"context_refiner", {kContext}}},
          .has_split_qkv = true,
          .lists_text_rates = true};
}

void add_lumina_targets(const NextDiT& model, std::vector<AdapterTarget>& targets) {
  const NextDiTConfig& config = model.config();
  for (nn::Layer* layer : model.index().layers) {
    const auto path = split_path(layer->path());
    const bool is_block = path[0] == kContext || path[0] == kNoise || path[0] == kLayers;
    if (!is_block && path[0] != kLast) continue;
    AdapterTarget target{layer, target_name("lora_unet", layer->path())};
    target.kind = kind_of(path);
    target.group = path[0];
    if (is_block) target.block = std::stoll(path[1]);
    const int64_t kv_size = config.num_kv_heads * config.head_size();
    if (path.back() == "qkv") target.part_sizes = {config.hidden_size, kv_size, kv_size};
    targets.push_back(std::move(target));
  }
  for (const char* embedder : kEmbedders) {
    for (nn::Layer* layer : model.index().layers) {
      if (split_path(layer->path())[0] != embedder) continue;
      AdapterTarget target{layer, target_name("lora_unet", layer->path())};
      target.kind = embedder;
      target.is_default = false;
      targets.push_back(std::move(target));
    }
  }
}

void add_gemma_targets(const Gemma2& model, int component, std::vector<AdapterTarget>& targets) {
  for (nn::Layer* layer : model.index().layers) {
    targets.push_back({layer, target_name("lora_te", layer->path()), component});
  }
}

}  // namespace difftune
