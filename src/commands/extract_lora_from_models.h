// `difftune extract_lora_from_models`.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace difftune {

inline constexpr std::string_view kExtractLoraFromModelsSummary =
    "Makes a LoRA of the difference between two SD or SDXL checkpoints.";

int run_extract_lora_from_models(std::span<const std::string> words);
std::string extract_lora_from_models_page();

}  // namespace difftune
