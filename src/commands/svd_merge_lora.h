// `difftune svd_merge_lora`.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace difftune {

inline constexpr std::string_view kSvdMergeLoraSummary =
    "Adds up LoRAs of any ranks and cuts the sum down to one rank.";

int run_svd_merge_lora(std::span<const std::string> words);
std::string svd_merge_lora_page();

}  // namespace difftune
