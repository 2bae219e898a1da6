// Mends text whose bytes were read in the wrong encoding: "sÃ³" to "só".
#pragma once

#include <string>
#include <string_view>

namespace difftune {

// ftfy 6.3.1's fix_encoding with its default settings.
std::u32string fix_encoding(std::u32string text);

// Control characters 80 to 9F become what they mean in windows-1252.
void fix_c1_controls(std::u32string& text);

}  // namespace difftune
