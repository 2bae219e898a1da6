// `difftune check_lora_weights`: statistics of a LoRA's matrices.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace difftune {

inline constexpr std::string_view kCheckLoraWeightsSummary =
    "Prints shape, mean and least magnitude of the matrices of a LoRA.";

// Runs with the words behind the command's name. Throws UsageError and UserError.
int run_check_lora_weights(std::span<const std::string> words);

// The Markdown of docs/check_lora_weights.md.
std::string check_lora_weights_page();

}  // namespace difftune
