// `difftune merge_sd3_safetensors`: one file out of a DiT, a VAE and text encoders.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace difftune {

inline constexpr std::string_view kMergeSd3SafetensorsSummary =
    "Joins the files of a Stable Diffusion 3 model's parts into one.";

// Runs with the words behind the command's name. Throws UsageError and UserError.
int run_merge_sd3_safetensors(std::span<const std::string> words);

// The Markdown of docs/merge_sd3_safetensors.md.
std::string merge_sd3_safetensors_page();

}  // namespace difftune
