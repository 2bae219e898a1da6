// `difftune extract_lora_from_dylora`.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace difftune {

inline constexpr std::string_view kExtractLoraFromDyloraSummary = "Splits a DyLoRA into LoRAs of smaller ranks.";

int run_extract_lora_from_dylora(std::span<const std::string> words);
std::string extract_lora_from_dylora_page();

}  // namespace difftune
