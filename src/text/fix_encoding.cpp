#include "text/fix_encoding.h"

#include <algorithm>
#include <optional>

#include "text/legacy_encodings.h"
#include "text/misread_bytes.h"
#include "text/mojibake.h"

namespace difftune {

namespace {

bool is_c1_control(char32_t c) { return c >= 0x80 && c <= 0x9F; }

// `text` written in `encoding` and read again as UTF-8, small damage mended; nothing where that fails.
std::optional<std::u32string> reread_as_utf8(std::u32string_view text, LegacyEncoding encoding) {
  std::optional<std::string> bytes = encode_legacy(text, encoding);
  if (!bytes) return std::nullopt;
  // In MacRoman an en dash and a space would look like it.
  if (encoding != LegacyEncoding::mac_roman && has_altered_a0(*bytes)) bytes = restore_byte_a0(*bytes);
  if (is_sloppy(encoding)) bytes = replace_lossy_sequences(*bytes);
  return decode_utf8_variants(*bytes);
}

// Mends the misread stretches of `text` each on its own.
std::u32string fix_stretches(std::u32string_view text) {
  return replace_misread_utf8(text, [&](std::u32string_view stretch) {
    // The whole text as one stretch was tried already.
    const bool mend = stretch.size() < text.size() && is_mojibake(stretch);
    return mend ? fix_encoding(std::u32string(stretch)) : std::u32string(stretch);
  });
}

// Latin-1 that was meant as windows-1252, character by character.
std::u32string fix_latin_1(std::u32string text) {
  fix_c1_controls(text);
  return text;
}

std::u32string fix_one_step(const std::u32string& text) {
  if (!is_mojibake(text)) return text;
  for (int i = 0; i < kNumLegacyEncodings; ++i) {
    if (auto fixed = reread_as_utf8(text, static_cast<LegacyEncoding>(i))) return *std::move(fixed);
  }
  std::u32string fixed = fix_stretches(text);
  return fixed == text ? fix_latin_1(text) : fixed;
}

}  // namespace

void fix_c1_controls(std::u32string& text) {
  for (char32_t& c : text) {
    if (is_c1_control(c)) c = decode_windows_1252(static_cast<uint8_t>(c));
  }
}

std::u32string fix_encoding(std::u32string text) {
  while (true) {
    std::u32string fixed = fix_one_step(text);
    if (fixed == text) return text;
    text = std::move(fixed);
  }
}

}  // namespace difftune
