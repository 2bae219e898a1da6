#include "text/unicode.h"

#include <unicode/locid.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include <algorithm>

#include "base/error.h"

namespace difftune {

namespace {

bool is_ascii(std::u32string_view text) {
  return std::all_of(text.begin(), text.end(), [](char32_t c) { return c < 0x80; });
}

icu::UnicodeString to_icu(std::u32string_view text) {
  icu::UnicodeString result(static_cast<int32_t>(text.size()), 0, 0);
  for (const char32_t c : text) result.append(static_cast<UChar32>(c));
  return result;
}

std::u32string from_icu(const icu::UnicodeString& text) {
  std::u32string result;
  result.reserve(text.length());
  for (int32_t i = 0; i < text.length(); i = text.moveIndex32(i, 1)) result.push_back(text.char32At(i));
  return result;
}

std::u32string normalize(const icu::Normalizer2* form, std::u32string_view text, UErrorCode status) {
  icu::UnicodeString result = form->normalize(to_icu(text), status);
  DT_CHECK(U_SUCCESS(status), "ICU: {}", u_errorName(status));
  return from_icu(result);
}

// The length that the first byte of a sequence promises, and the bits of the code point in it; 0 where it promises
// none.
size_t sequence_length(uint8_t first, char32_t& code_point) {
  if (first < 0x80) return code_point = first, 1;
  if (first >= 0xC2 && first < 0xE0) return code_point = first & 0x1F, 2;
  if (first >= 0xE0 && first < 0xF0) return code_point = first & 0x0F, 3;
  if (first >= 0xF0 && first < 0xF5) return code_point = first & 0x07, 4;
  return 0;
}

}  // namespace

size_t decode_utf8_character(std::string_view utf8, char32_t& character) {
  constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  char32_t c = 0;
  const size_t length = sequence_length(static_cast<uint8_t>(utf8[0]), c);
  if (length == 0 || length > utf8.size()) return 0;
  for (size_t i = 1; i < length; ++i) {
    const auto byte = static_cast<uint8_t>(utf8[i]);
    if ((byte & 0xC0) != 0x80) return 0;
    c = c << 6 | (byte & 0x3F);
  }
  if (c < kSmallest[length] || c > 0x10FFFF) return 0;
  character = c;
  return length;
}

std::u32string decode_utf8(std::string_view utf8) {
  std::u32string text;
  text.reserve(utf8.size());
  for (size_t at = 0; at < utf8.size();) {
    char32_t c = 0;
    const size_t length = decode_utf8_character(utf8.substr(at), c);
    if (length == 0) {
      fail("text is not UTF-8: byte 0x{:02x} at position {}; save it as UTF-8", static_cast<uint8_t>(utf8[at]), at);
    }
    text.push_back(c);
    at += length;
  }
  return text;
}

void append_utf8(char32_t c, std::string& out) {
  const auto put = [&](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (c < 0x80) return put(c);
  if (c < 0x800) {
    put(0xC0 | c >> 6);
  } else {
    if (c < 0x10000) {
      put(0xE0 | c >> 12);
    } else {
      put(0xF0 | c >> 18);
      put(0x80 | (c >> 12 & 0x3F));
    }
    put(0x80 | (c >> 6 & 0x3F));
  }
  put(0x80 | (c & 0x3F));
}

std::string encode_utf8(std::u32string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char32_t c : text) append_utf8(c, out);
  return out;
}

bool is_unicode_space(char32_t c) { return u_isUWhiteSpace(static_cast<UChar32>(c)); }
bool is_python_space(char32_t c) { return (c >= 0x1C && c <= 0x1F) || is_unicode_space(c); }
bool is_word_character(char32_t c) {
  return c == U'_' || (U_GET_GC_MASK(static_cast<UChar32>(c)) & (U_GC_L_MASK | U_GC_N_MASK)) != 0;
}
int decimal_digit(char32_t c) { return u_charDigitValue(static_cast<UChar32>(c)); }

std::u32string normalize_nfc(std::u32string_view text) {
  if (is_ascii(text)) return std::u32string(text);
  UErrorCode status = U_ZERO_ERROR;
  return normalize(icu::Normalizer2::getNFCInstance(status), text, status);
}

std::u32string normalize_nfkc(std::u32string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  return normalize(icu::Normalizer2::getNFKCInstance(status), text, status);
}

std::u32string to_lower(std::u32string_view text) {
  if (is_ascii(text)) {
    std::u32string result(text);
    for (char32_t& c : result) {
      if (c >= U'A' && c <= U'Z') c += 32;
    }
    return result;
  }
  return from_icu(to_icu(text).toLower(icu::Locale::getRoot()));
}

}  // namespace difftune
