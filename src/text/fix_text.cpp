#include "text/fix_text.h"

#include <algorithm>
#include <array>
#include <utility>

#include "text/fix_encoding.h"
#include "text/html_entities.h"
#include "text/unicode.h"

namespace difftune {

namespace {

constexpr size_t kMaxSegmentLength = 1'000'000;

// Latin ligatures and digraphs, sorted.
constexpr std::pair<char32_t, std::u32string_view> kLigatures[] = {
    {U'Ĳ', U"IJ"},  {U'ĳ', U"ij"},  {U'ŉ', U"ʼn"}, {U'Ǆ', U"DŽ"}, {U'ǅ', U"Dž"}, {U'ǆ', U"dž"},
    {U'Ǉ', U"LJ"},  {U'ǈ', U"Lj"},  {U'ǉ', U"lj"}, {U'Ǌ', U"NJ"}, {U'ǋ', U"Nj"}, {U'ǌ', U"nj"},
    {U'Ǳ', U"DZ"},  {U'ǲ', U"Dz"},  {U'ǳ', U"dz"}, {U'ﬀ', U"ff"}, {U'ﬁ', U"fi"}, {U'ﬂ', U"fl"},
    {U'ﬃ', U"ffi"}, {U'ﬄ', U"ffl"}, {U'ﬅ', U"ſt"}, {U'ﬆ', U"st"},
};

constexpr char32_t kFirstWide = 0xFF01, kLastWide = 0xFFEF;

bool is_high_surrogate(char32_t c) { return c >= 0xD800 && c < 0xDC00; }
bool is_low_surrogate(char32_t c) { return c >= 0xDC00 && c < 0xE000; }

// Control characters without an effect on text. C1, joiners, direction marks and tags stay.
bool is_useless_control(char32_t c) {
  return c <= 0x08 || c == 0x0B || (c >= 0x0E && c < 0x20) || c == 0x7F || (c >= 0x206A && c <= 0x206F) ||
         c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFC);
}

// Fullwidth and halfwidth forms in their usual width.
void append_usual_width(char32_t c, std::u32string& out) {
  if (c == 0x3000) {
    out.push_back(U' ');
  } else if (c >= kFirstWide && c <= kLastWide) {
    out += normalize_nfkc(std::u32string_view(&c, 1));
  } else {
    out.push_back(c);
  }
}

char32_t straight_quote(char32_t c) {
  if (c == 0x02BC || (c >= 0x2018 && c <= 0x201B)) return U'\'';
  return c >= 0x201C && c <= 0x201F ? U'"' : c;
}

std::u32string expand_forms(std::u32string_view text) {
  std::u32string ligatures, out;
  for (const char32_t c : text) {
    const auto* found = std::lower_bound(std::begin(kLigatures), std::end(kLigatures), c,
                                         [](const auto& entry, char32_t wanted) { return entry.first < wanted; });
    if (found != std::end(kLigatures) && found->first == c) {
      ligatures += found->second;
    } else {
      ligatures.push_back(c);
    }
  }
  for (const char32_t c : ligatures) append_usual_width(c, out);
  std::transform(out.begin(), out.end(), out.begin(), straight_quote);
  return out;
}

std::u32string fix_line_breaks(std::u32string_view text) {
  std::u32string out;
  for (size_t at = 0; at < text.size(); ++at) {
    const char32_t c = text[at];
    if (c == U'\r' && text.substr(at + 1).starts_with(U'\n')) continue;
    out.push_back(c == U'\r' || c == 0x2028 || c == 0x2029 || c == 0x85 ? U'\n' : c);
  }
  return out;
}

// Pairs become the character they mean, single ones U+FFFD.
std::u32string fix_surrogates(std::u32string_view text) {
  std::u32string out;
  for (size_t at = 0; at < text.size(); ++at) {
    const char32_t c = text[at];
    if (is_high_surrogate(c) && at + 1 < text.size() && is_low_surrogate(text[at + 1])) {
      out.push_back(0x10000 + (c - 0xD800) * 0x400 + (text[++at] - 0xDC00));
    } else {
      out.push_back(is_high_surrogate(c) || is_low_surrogate(c) ? U'\uFFFD' : c);
    }
  }
  return out;
}

// "ESC [ numbers letter", such as colours.
std::u32string remove_terminal_escapes(std::u32string_view text) {
  std::u32string out;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text.substr(at).starts_with(U"\u001B[")) {
      size_t end = at + 2;
      while (end < text.size() && (text[end] == U';' || decimal_digit(text[end]) >= 0)) ++end;
      const char32_t last = end < text.size() ? text[end] | 0x20 : 0;
      if (last >= U'a' && last <= U'z') {
        at = end;
        continue;
      }
    }
    out.push_back(text[at]);
  }
  return out;
}

std::u32string fix_once(std::u32string_view segment, bool unescape) {
  std::u32string text = fix_encoding(unescape ? unescape_html(segment) : std::u32string(segment));
  fix_c1_controls(text);
  text = expand_forms(text);
  text = fix_line_breaks(text);
  text = fix_surrogates(text);
  text = remove_terminal_escapes(text);
  std::erase_if(text, is_useless_control);
  return normalize_nfc(text);
}

// Until nothing changes: one repair can uncover another.
std::u32string fix_segment(std::u32string text, bool unescape) {
  while (true) {
    std::u32string fixed = fix_once(text, unescape);
    if (fixed == text) return text;
    text = std::move(fixed);
  }
}

}  // namespace

std::u32string fix_text(std::u32string_view text) {
  std::u32string out;
  bool unescape = true;
  for (size_t at = 0; at < text.size();) {
    const size_t newline = text.find(U'\n', at);
    const size_t length = std::min((newline == text.npos ? text.size() : newline + 1) - at, kMaxSegmentLength);
    const auto segment = text.substr(at, length);
    // From the first "<" on the text is taken for HTML, whose entities are to stay.
    unescape = unescape && segment.find(U'<') == segment.npos;
    out += fix_segment(std::u32string(segment), unescape);
    at += length;
  }
  return out;
}

}  // namespace difftune
