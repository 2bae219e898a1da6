// Signs that text is mojibake: UTF-8 that something read as a single-byte encoding. Source: ftfy 6.3.1 (badness.py,
// chardata.py), Apache-2.0.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace difftune {

// Whether `text` has a sequence of characters that hardly ever occurs in text that was read right.
bool is_mojibake(std::u32string_view text);

// Replaces every stretch that looks like misread UTF-8 with replace(stretch).
std::u32string replace_misread_utf8(std::u32string_view text,
                                    const std::function<std::u32string(std::u32string_view)>& replace);

}  // namespace difftune
