#include "weight_tools/block_weights.h"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"

namespace difftune {
namespace {

// Index 0 is the text encoder ("BASE"), 1 to 12 the blocks of the way down, 13 the middle, 14 to 25 the way up.
constexpr size_t kMiddle = 13, kUp = 14;

constexpr std::string_view kNames[] = {"BASE",  "IN00",  "IN01",  "IN02",  "IN03",  "IN04",  "IN05",  "IN06",  "IN07",
                                       "IN08",  "IN09",  "IN10",  "IN11",  "MID",   "OUT00", "OUT01", "OUT02", "OUT03",
                                       "OUT04", "OUT05", "OUT06", "OUT07", "OUT08", "OUT09", "OUT10", "OUT11"};

// The blocks that a list of each length names, one character per block.
struct Listed {
  size_t num_weights;
  std::string_view blocks;
};
constexpr Listed kListed[] = {
    {12,
     "1"
     "000011011000"
     "1"
     "111111000000"},
    {17,
     "1"
     "011011011000"
     "1"
     "000111111111"},
    {20,
     "1"
     "111111111000"
     "1"
     "111111111000"},
    {26,
     "1"
     "111111111111"
     "1"
     "111111111111"},
};

// The number behind `prefix` in `name`, and what follows it.
std::optional<int> number_after(std::string_view name, std::string_view prefix, std::string_view* rest = nullptr) {
  const size_t at = name.find(prefix);
  if (at == name.npos) return std::nullopt;
  name.remove_prefix(at + prefix.size());
  int number = 0;
  const auto parsed = std::from_chars(name.data(), name.data() + name.size(), number);
  if (parsed.ec != std::errc()) return std::nullopt;
  if (rest != nullptr) *rest = name.substr(parsed.ptr - name.data());
  return number;
}

std::optional<size_t> sdxl_block(std::string_view module) {
  if (const auto block = number_after(module, "_input_blocks_")) return 1 + *block;
  if (module.find("_middle_block_") != module.npos) return kMiddle;
  if (const auto block = number_after(module, "_output_blocks_")) return kUp + *block;
  return std::nullopt;
}

// Diffusers' names: three layers to a level, of which the third is the sampler on the way down.
std::optional<size_t> sd_block(std::string_view module) {
  std::string_view rest;
  if (const auto level = number_after(module, "down_blocks_", &rest)) {
    for (const char* part : {"_resnets_", "_attentions_"}) {
      const auto layer = number_after(rest, part);
      if (layer && rest.starts_with(part)) return 1 + 3 * *level + *layer + 1;
    }
    if (rest.starts_with("_downsamplers_")) return 1 + 3 * (*level + 1);
    return std::nullopt;
  }
  if (const auto level = number_after(module, "up_blocks_", &rest)) {
    for (const char* part : {"_resnets_", "_attentions_"}) {
      const auto layer = number_after(rest, part);
      if (layer && rest.starts_with(part)) return kUp + 3 * *level + *layer;
    }
    if (rest.starts_with("_upsamplers_")) return kUp + 3 * *level + 2;
    return std::nullopt;
  }
  if (module.find("mid_block_") != module.npos) return kMiddle;
  return std::nullopt;
}

}  // namespace

BlockWeights::BlockWeights(const std::string& json) {
  const nlohmann::json list = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  const bool is_numbers =
      list.is_array() && std::all_of(list.begin(), list.end(), [](const auto& value) { return value.is_number(); });
  if (!is_numbers) throw UsageError(fmt::format("--lbws '{}': expected a list of numbers such as [1,0.5,…]", json));
  factors_.fill(1);
  for (const Listed& listed : kListed) {
    if (list.size() != listed.num_weights) continue;
    num_weights_ = listed.num_weights;
    size_t next = 0;
    for (size_t block = 0; block < kNumBlocks; ++block) {
      if (listed.blocks[block] == '1') factors_[block] = list[next++].get<double>();
    }
    return;
  }
  throw UsageError(fmt::format("--lbws '{}': has {} numbers, expected 12 or 20 for SDXL, 17 or 26 for SD 1.x and 2.x",
                               json, list.size()));
}

double BlockWeights::factor(std::string_view module, bool is_sdxl) const {
  if (module.find("text_model_encoder_") != module.npos) return factors_[0];
  const auto block = is_sdxl ? sdxl_block(module) : sd_block(module);
  return block && *block < kNumBlocks ? factors_[*block] : 1;
}

std::string BlockWeights::description() const {
  std::string text;
  for (size_t i = 0; i < kNumBlocks; ++i) text += fmt::format("{}{}={}", i ? " " : "", kNames[i], factors_[i]);
  return text;
}

std::vector<BlockWeights> parse_block_weights(const std::vector<std::string>& lists) {
  std::vector<BlockWeights> weights;
  for (const std::string& list : lists) weights.emplace_back(list);
  for (const BlockWeights& w : weights) {
    if (w.num_weights() != weights[0].num_weights()) {
      throw UsageError(fmt::format("--lbws: all lists must have the same length, got {} and {} numbers",
                                   weights[0].num_weights(), w.num_weights()));
    }
  }
  return weights;
}

}  // namespace difftune
