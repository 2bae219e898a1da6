// The single-byte encodings in which UTF-8 is most often misread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace difftune {

// In the order in which ftfy tries them. The windows_ ones are "sloppy": bytes without a meaning are Latin-1's control
// characters, and byte 1A is U+FFFD, the trace of a character that was lost.
enum class LegacyEncoding {
  latin_1,
  windows_1252,
  windows_1251,
  windows_1250,
  windows_1253,
  windows_1254,
  windows_1257,
  iso_8859_2,
  mac_roman,
  cp437
};
inline constexpr int kNumLegacyEncodings = 10;

constexpr bool is_sloppy(LegacyEncoding encoding) {
  return encoding >= LegacyEncoding::windows_1252 && encoding <= LegacyEncoding::windows_1257;
}

// The bytes of `text`, or nothing where it has a character that the encoding lacks.
std::optional<std::string> encode_legacy(std::u32string_view text, LegacyEncoding encoding);

// What a byte from 80 on means in (sloppy) windows-1252.
char32_t decode_windows_1252(uint8_t byte);

}  // namespace difftune
