// `difftune convert_diffusers20_original_sd`: between a checkpoint file and a Diffusers folder.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace difftune {

inline constexpr std::string_view kConvertDiffusers20OriginalSdSummary =
    "Converts Stable Diffusion 1.x and 2.x between a checkpoint file and a Diffusers folder.";

// Runs with the words behind the command's name. Throws UsageError and UserError.
int run_convert_diffusers20_original_sd(std::span<const std::string> words);

// The Markdown of docs/convert_diffusers20_original_sd.md.
std::string convert_diffusers20_original_sd_page();

}  // namespace difftune
