#include "text/clip_words.h"

#include <algorithm>

#include "text/fix_text.h"
#include "text/unicode.h"

namespace difftune {

namespace {

enum class Kind { separator, letter, number, other };

struct KindRange {
  char32_t first, last;
  int kind;
};
// A table of our own, because a token must not depend on the Unicode version of the system's ICU.
constexpr KindRange kKindRanges[] = {
#include "text/tables/letters.inc"
};

constexpr std::u32string_view kFixedWords[] = {
    U"<|startoftext|>", U"<|endoftext|>", U"'s", U"'t", U"'re", U"'ve", U"'m", U"'ll", U"'d"};

Kind kind_of(char32_t c) {
  if (c >= U'a' && c <= U'z') return Kind::letter;
  const auto* range = std::lower_bound(std::begin(kKindRanges), std::end(kKindRanges), c,
                                       [](const KindRange& r, char32_t wanted) { return r.last < wanted; });
  if (range != std::end(kKindRanges) && range->first <= c) return static_cast<Kind>(range->kind);
  // The pattern ignores case, and U+0345 has a letter for a capital: it matches no part of the pattern.
  return is_unicode_space(c) || c == 0x0345 ? Kind::separator : Kind::other;
}

// The pattern ignores case: long s is an s to it.
bool starts_with_fixed(std::u32string_view text, std::u32string_view fixed) {
  return text.size() >= fixed.size() &&
         std::equal(fixed.begin(), fixed.end(), text.begin(),
                    [](char32_t wanted, char32_t c) { return c == wanted || (wanted == U's' && c == U'ſ'); });
}

size_t word_length(std::u32string_view text) {
  if (text[0] == U'\'' || text[0] == U'<') {
    for (const auto fixed : kFixedWords) {
      if (starts_with_fixed(text, fixed)) return fixed.size();
    }
  }
  const Kind kind = kind_of(text[0]);
  if (kind == Kind::separator) return 0;
  if (kind == Kind::number) return 1;
  size_t length = 1;
  while (length < text.size() && kind_of(text[length]) == kind) ++length;
  return length;
}

std::u32string collapse_spaces(std::u32string_view text) {
  std::u32string out;
  for (const char32_t c : text) {
    if (!is_unicode_space(c)) {
      out.push_back(c);
    } else if (!out.empty() && out.back() != U' ') {
      out.push_back(U' ');
    }
  }
  if (!out.empty() && out.back() == U' ') out.pop_back();
  return out;
}

}  // namespace

void for_each_clip_word(std::u32string_view text, const std::function<void(std::string_view)>& word) {
  // Spaces are collapsed before lower-casing: what ends a word decides how a capital sigma is lower-cased.
  const std::u32string ready = to_lower(collapse_spaces(fix_text(text)));
  std::string utf8;
  for (size_t at = 0; at < ready.size();) {
    const size_t length = word_length(std::u32string_view(ready).substr(at));
    if (length > 0) {
      utf8 = encode_utf8(std::u32string_view(ready).substr(at, length));
      word(utf8);
    }
    at += std::max<size_t>(length, 1);
  }
}

}  // namespace difftune
