// `difftune lumina_minimal_inference`.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace difftune {

inline constexpr std::string_view kLuminaMinimalInferenceSummary =
    "Makes pictures with a Lumina-Image 2.0 model, with LoRAs.";

int run_lumina_minimal_inference(std::span<const std::string> words);
std::string lumina_minimal_inference_page();

}  // namespace difftune
