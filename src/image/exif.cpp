#include "image/exif.h"

#include "image/byte_source.h"

namespace difftune {

int exif_orientation(std::span<const uint8_t> exif) {
  constexpr uint32_t kOrientationTag = 0x0112, kShort = 3, kLong = 4;
  constexpr size_t kEntryBytes = 12;
  if (exif.size() >= 6 && has_tag(exif.data(), {"Exif\0\0", 6})) exif = exif.subspan(6);
  if (exif.size() < 8) return 1;
  const bool little = has_tag(exif.data(), "II");
  if (!little && !has_tag(exif.data(), "MM")) return 1;
  const auto u16 = [&](size_t at) { return (little ? little_endian_16 : big_endian_16)(exif.data() + at); };
  const auto u32 = [&](size_t at) { return (little ? little_endian_32 : big_endian_32)(exif.data() + at); };
  if (u16(2) != 42) return 1;

  const size_t directory = u32(4);
  if (directory + 2 > exif.size()) return 1;
  const size_t num_entries = u16(directory);
  for (size_t i = 0; i < num_entries; ++i) {
    const size_t entry = directory + 2 + i * kEntryBytes;
    if (entry + kEntryBytes > exif.size()) return 1;
    if (u16(entry) != kOrientationTag) continue;
    const uint32_t type = u16(entry + 2);
    const uint32_t value = type == kShort ? u16(entry + 8) : type == kLong ? u32(entry + 8) : 1;
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

}  // namespace difftune
