#include "families/sdxl/sdxl_targets.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <tuple>

#include "base/error.h"
#include "families/target_names.h"

namespace difftune {
namespace {

// Where a layer stands: part of the U-Net, block, module of the block ("output_blocks.2.1.…" is 2, 2, 1).
struct Place {
  int part = 0, block = 0, module = 0;
  auto operator<=>(const Place&) const = default;
};

int read_number(std::string_view& text) {
  int number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  DT_CHECK(parsed.ec == std::errc(), "a number begins '{}'", text);
  text.remove_prefix(static_cast<size_t>(parsed.ptr - text.data()));
  if (text.starts_with('.')) text.remove_prefix(1);
  return number;
}

// nullopt for a layer outside the blocks.
std::optional<Place> place_of(std::string_view path) {
  constexpr std::array<std::string_view, 3> kParts = {"input_blocks.", "middle_block.", "output_blocks."};
  for (int part = 0; part < 3; ++part) {
    if (!path.starts_with(kParts[static_cast<size_t>(part)])) continue;
    path.remove_prefix(kParts[static_cast<size_t>(part)].size());
    const int block = part == 1 ? 0 : read_number(path);
    return Place{part, block, read_number(path)};
  }
  return std::nullopt;
}

}  // namespace

void add_unet_targets(const UNet& unet, const NameMap& single_file_names, std::vector<AdapterTarget>& targets) {
  constexpr std::string_view kRoot = "model.diffusion_model.", kEnd = ".weight";
  std::vector<std::pair<Place, AdapterTarget>> placed;
  for (nn::Layer* layer : unet.index().layers) {
    const bool is_transformer = layer->path().find("attentions.") != std::string::npos;
    if (!is_transformer && layer->path().find("_block") == std::string::npos) continue;
    const auto key = single_file_names.to_checkpoint(layer->path() + std::string(kEnd));
    DT_CHECK(key && key->name.starts_with(kRoot), "{} has a name in the single-file layout", layer->path());
    const std::string path = key->name.substr(kRoot.size(), key->name.size() - kRoot.size() - kEnd.size());
    const auto place = place_of(path);
    DT_CHECK(place, "{} is in a block", path);
    placed.push_back({*place, {layer, target_name("lora_unet", path), 0, !is_transformer}});
  }
  std::stable_sort(placed.begin(), placed.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (auto& [place, target] : placed) targets.push_back(std::move(target));
}

}  // namespace difftune
