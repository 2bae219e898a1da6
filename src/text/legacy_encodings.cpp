#include "text/legacy_encodings.h"

#include <algorithm>
#include <array>
#include <utility>

namespace difftune {

namespace {

constexpr char16_t kUpperHalves[kNumLegacyEncodings - 1][128] = {
#include "text/tables/legacy_encodings.inc"
};

// Characters of one encoding's upper half with their bytes, sorted.
using Encoder = std::array<std::pair<char16_t, uint8_t>, 128>;

std::array<Encoder, kNumLegacyEncodings - 1> make_encoders() {
  std::array<Encoder, kNumLegacyEncodings - 1> encoders;
  for (size_t e = 0; e < encoders.size(); ++e) {
    for (int i = 0; i < 128; ++i) encoders[e][i] = {kUpperHalves[e][i], static_cast<uint8_t>(0x80 + i)};
    std::sort(encoders[e].begin(), encoders[e].end());
  }
  return encoders;
}

// The byte of `c`, or -1.
int byte_of(char32_t c, LegacyEncoding encoding) {
  if (is_sloppy(encoding) && (c == 0x1A || c == 0xFFFD)) return c == 0x1A ? -1 : 0x1A;
  if (c < 0x80) return static_cast<int>(c);
  if (encoding == LegacyEncoding::latin_1) return c < 0x100 ? static_cast<int>(c) : -1;
  static const auto encoders = make_encoders();
  const Encoder& encoder = encoders[static_cast<int>(encoding) - 1];
  const auto found = std::lower_bound(encoder.begin(), encoder.end(), c,
                                      [](const auto& entry, char32_t wanted) { return entry.first < wanted; });
  return found != encoder.end() && found->first == c ? found->second : -1;
}

}  // namespace

std::optional<std::string> encode_legacy(std::u32string_view text, LegacyEncoding encoding) {
  std::string bytes;
  bytes.reserve(text.size());
  for (const char32_t c : text) {
    const int byte = byte_of(c, encoding);
    if (byte < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(byte));
  }
  return bytes;
}

char32_t decode_windows_1252(uint8_t byte) { return kUpperHalves[0][byte - 0x80]; }

}  // namespace difftune
