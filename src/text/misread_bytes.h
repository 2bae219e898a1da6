// Bytes that are UTF-8 but for small damage: repaired, and decoded. Source: ftfy 6.3.1 (fixes.py, utf8_variants.py).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace difftune {

// Whether a space stands where a byte A0 would complete a likely character of UTF-8.
bool has_altered_a0(std::string_view bytes);
// Puts A0 back there. "Ã " before a word keeps its space, except in Portuguese contractions such as "àquele".
std::string restore_byte_a0(std::string_view bytes);

// Sequences of UTF-8 in which a byte was lost (1A, or one "?") become U+FFFD as a whole, as does a lone 1A.
std::string replace_lossy_sequences(std::string_view bytes);

// UTF-8, also CESU-8's six bytes for one character and Java's C0 80 for U+0000. Nothing where it is not that.
std::optional<std::u32string> decode_utf8_variants(std::string_view bytes);

}  // namespace difftune
