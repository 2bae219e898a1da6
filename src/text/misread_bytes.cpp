#include "text/misread_bytes.h"

#include <array>
#include <cstdint>
#include <initializer_list>
#include <utility>

#include "text/unicode.h"

namespace difftune {

namespace {

constexpr uint8_t kLost = 0x1A;

// A set of bytes.
struct Bytes {
  using Range = std::pair<int, int>;
  constexpr Bytes(std::initializer_list<Range> ranges) {
    for (const auto& [first, last] : ranges) {
      for (int byte = first; byte <= last; ++byte) member[byte] = true;
    }
  }
  constexpr Bytes(uint8_t byte) : Bytes({{byte, byte}}) {}
  constexpr Bytes operator|(const Bytes& other) const {
    Bytes result = *this;
    for (int i = 0; i < 256; ++i) result.member[i] = member[i] || other.member[i];
    return result;
  }
  std::array<bool, 256> member{};
};

// A sequence of byte sets, at most six long.
struct Pattern {
  template <typename... Sets>
  constexpr Pattern(const Sets&... s) : sets{Bytes(s)...}, length(sizeof...(s)) {}

  size_t match(std::string_view bytes) const {
    if (bytes.size() < length) return 0;
    for (size_t i = 0; i < length; ++i) {
      if (!sets[i].member[static_cast<uint8_t>(bytes[i])]) return 0;
    }
    return length;
  }
  std::array<Bytes, 6> sets{Bytes({}), Bytes({}), Bytes({}), Bytes({}), Bytes({}), Bytes({})};
  size_t length;
};

// The length of the first pattern that matches at the start of `bytes`, or 0.
template <size_t N>
size_t match_any(const Pattern (&patterns)[N], std::string_view bytes) {
  for (const Pattern& pattern : patterns) {
    if (const size_t length = pattern.match(bytes)) return length;
  }
  return 0;
}

constexpr Bytes kContinuation{{0x80, 0xBF}};

const Pattern kAlteredA0[] = {
    {Bytes{{0xC2, 0xC3}, {0xC5, 0xC5}, {0xCE, 0xCE}, {0xD0, 0xD0}, {0xD9, 0xD9}}, ' '},
    {Bytes{{0xE2, 0xE3}}, ' ', Bytes{{0x80, 0x84}, {0x86, 0x9F}, {0xA1, 0xBF}}},
    {Bytes{{0xE0, 0xE3}}, Bytes{{0x80, 0x84}, {0x86, 0x9F}, {0xA1, 0xBF}}, ' '},
    {0xF0, ' ', kContinuation, kContinuation},
    {0xF0, kContinuation, ' ', kContinuation},
    {0xF0, kContinuation, kContinuation, ' '},
};

constexpr Bytes kLostOrMark{{kLost, kLost}, {'?', '?'}}, kKeptOrLost = kContinuation | Bytes(kLost);
constexpr Bytes kHigh{{0xA0, 0xAF}}, kLow{{0xB0, 0xBF}}, kLead3{{0xE0, 0xEF}}, kLead4{{0xF0, 0xF4}};

const Pattern kLossy[] = {
    {Bytes{{0xC2, 0xDF}}, kLost},
    {Bytes{{0xC2, 0xC3}}, '?'},
    {0xED, kHigh, kLostOrMark, 0xED, kLow, kLostOrMark | kContinuation},
    {0xED, kHigh, kLostOrMark | kContinuation, 0xED, kLow, kLostOrMark},
    {kLead3, kLostOrMark, kKeptOrLost},
    {kLead3, kKeptOrLost, kLostOrMark},
    {kLead4, kLostOrMark, kKeptOrLost, kKeptOrLost},
    {kLead4, kKeptOrLost, kLostOrMark, kKeptOrLost},
    {kLead4, kKeptOrLost, kKeptOrLost, kLostOrMark},
    {kLost},
};

// "Ã " is "à " unless the space hides the A0 of one word.
std::string restore_a_grave(std::string_view bytes) {
  std::string out;
  for (size_t at = 0; at < bytes.size(); ++at) {
    out.push_back(bytes[at]);
    if (!bytes.substr(at).starts_with("\xC3 ")) continue;
    const auto rest = bytes.substr(at + 2);
    bool one_word = false;
    for (const std::string_view tail : {" ", "quele", "quela", "quilo", "s "}) one_word |= rest.starts_with(tail);
    if (!one_word) out.push_back('\xA0');
  }
  return out;
}

// The code point of CESU-8's six bytes at the start of `bytes`, or 0. Python's "$" also matches before a last newline,
// so ftfy takes a newline at the very end for the sixth byte.
char32_t cesu8_code_point(std::string_view bytes) {
  static const Pattern kSurrogates{0xED, kHigh, kContinuation, 0xED, kLow, kContinuation};
  static const Pattern kFiveBytes{0xED, kHigh, kContinuation, 0xED, kLow, '\n'};
  if (!kSurrogates.match(bytes) && !(bytes.size() == 6 && kFiveBytes.match(bytes))) return 0;
  const auto bits = [&](int i, int mask) { return static_cast<char32_t>(bytes[i] & mask); };
  return (bits(1, 0x0F) << 16) + (bits(2, 0x3F) << 10) + (bits(4, 0x0F) << 6) + bits(5, 0x3F) + 0x10000;
}

}  // namespace

bool has_altered_a0(std::string_view bytes) {
  for (size_t at = 0; at < bytes.size(); ++at) {
    if (match_any(kAlteredA0, bytes.substr(at))) return true;
  }
  return false;
}

std::string restore_byte_a0(std::string_view bytes) {
  std::string out = restore_a_grave(bytes);
  for (size_t at = 0; at < out.size();) {
    const size_t length = match_any(kAlteredA0, std::string_view(out).substr(at));
    for (size_t i = at; i < at + length; ++i) {
      if (out[i] == ' ') out[i] = '\xA0';
    }
    at += length ? length : 1;
  }
  return out;
}

std::string replace_lossy_sequences(std::string_view bytes) {
  std::string out;
  for (size_t at = 0; at < bytes.size();) {
    if (const size_t length = match_any(kLossy, bytes.substr(at))) {
      out += "\xEF\xBF\xBD";
      at += length;
    } else {
      out.push_back(bytes[at++]);
    }
  }
  return out;
}

std::optional<std::u32string> decode_utf8_variants(std::string_view bytes) {
  std::u32string text;
  text.reserve(bytes.size());
  for (size_t at = 0; at < bytes.size();) {
    const auto rest = bytes.substr(at);
    if (rest.starts_with(std::string_view("\xC0\x80", 2)) || rest == "\xC0\n") {  // the newline for the same reason
      text.push_back(U'\0');
      at += 2;
    } else if (const char32_t c = cesu8_code_point(rest)) {
      text.push_back(c);
      at += 6;
    } else {
      char32_t plain = 0;
      const size_t length = decode_utf8_character(rest, plain);
      if (length == 0 || (plain >= 0xD800 && plain <= 0xDFFF)) return std::nullopt;
      text.push_back(plain);
      at += length;
    }
  }
  return text;
}

}  // namespace difftune
