// `difftune merge_lora_old`.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace difftune {

inline constexpr std::string_view kMergeLoraOldSummary =
    "Merges LoRAs as the first versions of sd-scripts did: equal alphas, attention layers only.";

int run_merge_lora_old(std::span<const std::string> words);
std::string merge_lora_old_page();

}  // namespace difftune
