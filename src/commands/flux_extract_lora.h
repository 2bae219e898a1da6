// `difftune flux_extract_lora`.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace difftune {

inline constexpr std::string_view kFluxExtractLoraSummary =
    "Makes a LoRA of the difference between two FLUX.1 or Chroma transformers.";

int run_flux_extract_lora(std::span<const std::string> words);
std::string flux_extract_lora_page();

}  // namespace difftune
