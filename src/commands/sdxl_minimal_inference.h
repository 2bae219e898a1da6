// `difftune sdxl_minimal_inference`.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace difftune {

inline constexpr std::string_view kSdxlMinimalInferenceSummary =
    "Makes a picture with a Stable Diffusion XL model, with LoRAs merged into it where asked.";

int run_sdxl_minimal_inference(std::span<const std::string> words);
std::string sdxl_minimal_inference_page();

}  // namespace difftune
