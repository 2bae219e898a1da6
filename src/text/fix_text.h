// Mends text as ftfy 6.3.1's fix_text does with its default settings: HTML entities, mojibake, ligatures, character
// width, curly quotes, line breaks, surrogates, terminal escapes, control characters, NFC. CLIP's tokenizer does this
// to every prompt.
#pragma once

#include <string>
#include <string_view>

namespace difftune {

std::u32string fix_text(std::u32string_view text);

}  // namespace difftune
