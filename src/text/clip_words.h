// The words that CLIP's tokenizer encodes one by one.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace difftune {

// Mends `text`, lower-cases it, and calls `word` with each word in UTF-8: a run of letters, a single digit, a run of
// other characters, an English ending such as 's, or <|startoftext|> and <|endoftext|>. White space separates.
void for_each_clip_word(std::u32string_view text, const std::function<void(std::string_view)>& word);

}  // namespace difftune
