// `difftune sd3_minimal_inference`.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace difftune {

inline constexpr std::string_view kSd3MinimalInferenceSummary =
    "Makes pictures with a Stable Diffusion 3 or 3.5 model, with LoRAs.";

int run_sd3_minimal_inference(std::span<const std::string> words);
std::string sd3_minimal_inference_page();

}  // namespace difftune
