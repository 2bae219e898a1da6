// `difftune convert_flux_lora`: between the layouts of sd-scripts and ai-toolkit.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace difftune {

inline constexpr std::string_view kConvertFluxLoraSummary =
    "Converts a FLUX.1 LoRA between the layouts of sd-scripts and ai-toolkit (Diffusers).";

// Runs with the words behind the command's name. Throws UsageError and UserError.
int run_convert_flux_lora(std::span<const std::string> words);

// The Markdown of docs/convert_flux_lora.md.
std::string convert_flux_lora_page();

}  // namespace difftune
