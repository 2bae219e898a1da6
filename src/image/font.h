// A 5 x 7 bitmap font for ASCII, drawn for difftune (internal to this library).
#pragma once

#include <array>
#include <cstdint>

namespace difftune {

inline constexpr int kGlyphWidth = 5, kGlyphHeight = 7;

// Seven rows from the top; bit 4 is the left column. Anything outside ' '..'~' is a box.
const std::array<uint8_t, kGlyphHeight>& glyph_of(char32_t character);

}  // namespace difftune
