// The replacements of characters that a SentencePiece model brings along (its own form of NFKC, control characters to
// spaces), applied as the tokenizers library does.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace difftune {

class Charsmap {
 public:
  // The `precompiled_charsmap` of a model: u32 size, a double-array trie (darts-clone), then texts that end in a zero
  // byte. An empty one changes nothing. Throws UserError that begins with `name` where it is damaged.
  Charsmap(std::string_view blob, std::string_view name);

  // A grapheme cluster of at most five bytes is replaced as a whole by what its shortest known beginning stands for;
  // of longer or unknown ones each character by itself. That is what tokenizers 0.21 (normalizers/precompiled.rs) does,
  // and not what SentencePiece does, which takes the longest beginning at each place.
  std::string apply(std::string_view utf8) const;

 private:
  std::optional<std::string_view> replacement(std::string_view text) const;

  std::vector<uint32_t> units_;
  std::string texts_;
};

}  // namespace difftune
