#include "families/target_names.h"

#include <fmt/format.h>

#include <algorithm>

namespace difftune {

std::string target_name(std::string_view prefix, std::string_view path) {
  std::string name = fmt::format("{}_{}", prefix, path);
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

std::vector<std::string> split_path(std::string_view path) {
  std::vector<std::string> parts;
  while (true) {
    const auto dot = path.find('.');
    parts.emplace_back(path.substr(0, dot));
    if (dot == std::string_view::npos) return parts;
    path.remove_prefix(dot + 1);
  }
}

void add_clip_targets(const ClipText& encoder, int component, std::vector<AdapterTarget>& targets) {
  for (nn::Layer* layer : encoder.index().layers) {
    if (!layer->path().starts_with("text_model.")) continue;  // the projection
    targets.push_back({layer, target_name(fmt::format("lora_te{}", component), layer->path()), component});
  }
}

void add_t5_targets(const T5Encoder& encoder, int component, std::vector<AdapterTarget>& targets) {
  for (nn::Layer* layer : encoder.index().layers) {
    AdapterTarget target{layer, target_name("lora_te3", layer->path()), component};
    target.kind = "t5";
    target.is_default = false;
    targets.push_back(std::move(target));
  }
}

}  // namespace difftune
