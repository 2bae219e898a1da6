// The one EXIF field that changes the picture (internal to this library).
#pragma once

#include <cstdint>
#include <span>

namespace difftune {

// Orientation (1..8) from EXIF data, which is a TIFF header and directory (CIPA DC-008 4.5), with or without "Exif\0\0"
// in front; 1 where it is missing or damaged.
int exif_orientation(std::span<const uint8_t> exif);

}  // namespace difftune
