// `difftune flux_merge_lora`.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace difftune {

inline constexpr std::string_view kFluxMergeLoraSummary = "Merges LoRAs into FLUX.1, CLIP-L and T5, or into one LoRA.";

int run_flux_merge_lora(std::span<const std::string> words);
std::string flux_merge_lora_page();

}  // namespace difftune
