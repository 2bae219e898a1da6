// `difftune sdxl_merge_lora`.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace difftune {

inline constexpr std::string_view kSdxlMergeLoraSummary =
    "Merges LoRAs or OFT into an SDXL checkpoint, block by block where asked, or LoRAs into one.";

int run_sdxl_merge_lora(std::span<const std::string> words);
std::string sdxl_merge_lora_page();

}  // namespace difftune
