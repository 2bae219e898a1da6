// `difftune convert_diffusers_to_flux`: from Diffusers' layout to Black Forest Labs'.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace difftune {

inline constexpr std::string_view kConvertDiffusersToFluxSummary =
    "Converts a FLUX.1 transformer in Diffusers' layout into one file in Black Forest Labs' layout.";

// Runs with the words behind the command's name. Throws UsageError and UserError.
int run_convert_diffusers_to_flux(std::span<const std::string> words);

// The Markdown of docs/convert_diffusers_to_flux.md.
std::string convert_diffusers_to_flux_page();

}  // namespace difftune
