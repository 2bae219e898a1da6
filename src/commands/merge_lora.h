// `difftune merge_lora`.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace difftune {

inline constexpr std::string_view kMergeLoraSummary = "Merges LoRAs into a checkpoint, or into one LoRA.";

int run_merge_lora(std::span<const std::string> words);
std::string merge_lora_page();

}  // namespace difftune
