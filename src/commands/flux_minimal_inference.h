// `difftune flux_minimal_inference`.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace difftune {

inline constexpr std::string_view kFluxMinimalInferenceSummary =
    "Makes pictures with a FLUX.1 or Chroma model, with LoRAs.";

int run_flux_minimal_inference(std::span<const std::string> words);
std::string flux_minimal_inference_page();

}  // namespace difftune
