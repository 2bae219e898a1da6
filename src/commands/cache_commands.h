// `difftune cache_latents` and `difftune cache_text_encoder_outputs`.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace difftune {

inline constexpr std::string_view kCacheLatentsSummary =
    "Encodes the images of a dataset into .npz files beside them, for training runs to come.";
inline constexpr std::string_view kCacheTextSummary =
    "Encodes the captions of a dataset into .npz files beside the images, for training runs to come.";

int run_cache_latents(std::span<const std::string> words);
std::string cache_latents_page();
int run_cache_text_encoder_outputs(std::span<const std::string> words);
std::string cache_text_encoder_outputs_page();

}  // namespace difftune
