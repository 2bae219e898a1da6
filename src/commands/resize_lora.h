// `difftune resize_lora`.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace difftune {

inline constexpr std::string_view kResizeLoraSummary =
    "Cuts a LoRA down to a smaller rank, fixed or chosen by singular values.";

int run_resize_lora(std::span<const std::string> words);
std::string resize_lora_page();

}  // namespace difftune
