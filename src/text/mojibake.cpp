#include "text/mojibake.h"

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <vector>

#include "text/unicode.h"

namespace difftune {

namespace {

// Bits of a character's classes. The first 19 are those of tables/mojibake_classes.inc.
enum MojibakeClass : uint32_t {
  common = 1 << 0,
  c1 = 1 << 1,  // control characters 80 to 9F
  bad = 1 << 2,
  law = 1 << 3,
  currency = 1 << 4,
  opening = 1 << 5,  // punctuation at the start or at the end of words
  closing = 1 << 6,
  numeric = 1 << 7,
  kaomoji = 1 << 8,
  upper_accented = 1 << 9,
  lower_accented = 1 << 10,
  upper_common = 1 << 11,
  lower_common = 1 << 12,
  box = 1 << 13,
  first_of_2 = 1 << 14,  // what a first byte of UTF-8 is misread as
  first_of_3 = 1 << 15,
  first_of_4 = 1 << 16,
  continuation = 1 << 17,
  strict_continuation = 1 << 18,  // without what also stands for itself
  lower_ascii = 1 << 19,
  upper_ascii = 1 << 20,
  space = 1 << 21,
  word = 1 << 22,
};
constexpr uint32_t kAccented = lower_accented | upper_accented;
constexpr uint32_t kAscii = lower_ascii | upper_ascii;
constexpr uint32_t kSuspect = kAccented | box | opening | closing | currency | numeric | law;

struct ClassRange {
  char32_t first, last;
  uint32_t classes;
};
constexpr ClassRange kClassRanges[] = {
#include "text/tables/mojibake_classes.inc"
};

uint32_t classes_of(char32_t c) {
  uint32_t classes = 0;
  if (c >= U'a' && c <= U'z') classes = lower_ascii;
  if (c >= U'A' && c <= U'Z') classes = upper_ascii;
  if (is_python_space(c)) classes |= space;
  if (is_word_character(c)) classes |= word;
  const auto* range = std::lower_bound(std::begin(kClassRanges), std::end(kClassRanges), c,
                                       [](const ClassRange& r, char32_t wanted) { return r.last < wanted; });
  return range != std::end(kClassRanges) && range->first <= c ? classes | range->classes : classes;
}

// One character of a rule: of one of `classes`, or one of `characters`.
struct CharacterSet {
  CharacterSet(uint32_t c, std::u32string_view s = {}) : classes(c), characters(s) {}
  CharacterSet(std::u32string_view s) : CharacterSet(0, s) {}
  CharacterSet(const char32_t* s) : CharacterSet(0, s) {}

  bool contains(char32_t c, uint32_t c_classes) const {
    return ((c_classes & classes) != 0 || characters.find(c) != characters.npos) != inverted;
  }

  uint32_t classes;
  std::u32string_view characters;
  bool inverted = false;
};

CharacterSet not_in(CharacterSet set) {
  set.inverted = true;
  return set;
}

using Rule = std::vector<CharacterSet>;

const std::vector<Rule>& rules() {
  static const CharacterSet arabic{common | currency | bad | numeric | opening, U"ŸŠ®°µ»"};
  static const CharacterSet cyrillic{U"ВГРС"}, greek{U"\u0392\u0393\u039E\u039F"};
  constexpr uint32_t kBetween = c1 | bad | opening | closing | currency;
  static const std::vector<Rule> all = {
      {c1},
      {bad | kSuspect, bad},
      {kAscii, lower_common | upper_common, bad},
      {bad, kSuspect},
      {lower_accented | lower_common | box | closing | currency | numeric, upper_accented},
      {box | closing | currency | numeric, lower_accented},
      {lower_accented | box | closing, currency},
      {space, upper_accented, currency},
      {upper_accented | box, numeric | law},
      {kAccented | box | currency | closing, opening, numeric},
      {kAccented | currency | numeric | box | law, closing, opening},
      {currency | numeric | box, opening},
      {lower_ascii, upper_accented, opening | currency},
      {box, kaomoji},
      {kAccented | currency | numeric | opening | closing | law, box},
      {box, closing},
      {kAccented, opening | closing, word},
      {U"Œœ", not_in(kAscii)},
      {upper_accented, U"°"},
      // windows-1252: pairs that the rules above miss, Arabic, South Asian scripts
      {U"ÂÃÎÐ", {opening | closing, U"€œŠš¢£Ÿž\u00A0\u00AD®©°·»–—´"}},
      {U"×", U"²³"},
      {U"ØÙ", arabic, U"ØÙ", arabic},
      {U"à", U"²µ¹¼½¾"},
      // MacRoman
      {U"√", U"±∂†≠®™´≤≥¥µø"},
      {U"≈", U"°¢"},
      {U"‚", U"Ä", U"ìîïòôúùû†°¢π"},
      {U"‚", U"âó", U"àä°ê"},
      // windows-1251
      {U"в", U"Ђ"},
      {cyrillic, {kBetween, U"°µ"}, cyrillic},
      {U"Г", U"ў", U"В", U"Ђ", U"В", not_in(U"\n"), {kAscii, U" "}},
      // windows-1252: à, á and the no-break space; Â before a character that encodes itself
      {U"Ã", U"\u00A0¡"},
      {lower_ascii, U"ÃÂ", U" "},
      {lower_ascii, space, U"ÃÂ", U" "},
      {{lower_ascii | closing, U".,?!"}, U"Â", {opening | closing, U" "}},
      // windows-1253
      {U"\u03B2", U"€", U"™\u00A0\u0386\u00AD®°"},
      {greek, {kBetween, U"°"}, greek},
      // windows-1257
      {U"ā", U"€"},
  };
  return all;
}

bool matches_at(const Rule& rule, std::u32string_view text, const uint32_t* classes, size_t at) {
  if (at + rule.size() > text.size()) return false;
  for (size_t i = 0; i < rule.size(); ++i) {
    if (!rule[i].contains(text[at + i], classes[at + i])) return false;
  }
  return true;
}

}  // namespace

bool is_mojibake(std::u32string_view text) {
  if (std::all_of(text.begin(), text.end(), [](char32_t c) { return c < 0x80; })) return false;
  if (text.starts_with(U"Ã ") || text.starts_with(U"Â ")) return true;
  std::vector<uint32_t> classes(text.size());
  std::transform(text.begin(), text.end(), classes.begin(), classes_of);
  const auto& all = rules();
  for (size_t at = 0; at < text.size(); ++at) {
    for (const Rule& rule : all) {
      if (matches_at(rule, text, classes.data(), at)) return true;
    }
  }
  return false;
}

std::u32string replace_misread_utf8(std::u32string_view text,
                                    const std::function<std::u32string(std::u32string_view)>& replace) {
  std::vector<uint32_t> classes(text.size());
  std::transform(text.begin(), text.end(), classes.begin(), classes_of);
  // The length of one misread character at `at`, or 0.
  const auto length_at = [&](size_t at) -> size_t {
    for (const auto& [first, length] : {std::pair(first_of_2, 2), std::pair(first_of_3, 3), std::pair(first_of_4, 4)}) {
      if (at + length > text.size() || (classes[at] & first) == 0) continue;
      if (std::all_of(&classes[at + 1], &classes[at] + length, [](uint32_t c) { return c & continuation; })) {
        return static_cast<size_t>(length);
      }
    }
    return 0;
  };
  std::u32string out;
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    // A stretch that begins inside a garble of continuations would only make it worse.
    if (at == 0 || (classes[at - 1] & strict_continuation) == 0) {
      while (end < text.size()) {
        const size_t length = length_at(end);
        if (length == 0) break;
        end += length;
      }
    }
    if (end == at) {
      out.push_back(text[at++]);
    } else {
      out += replace(text.substr(at, end - at));
      at = end;
    }
  }
  return out;
}

}  // namespace difftune
