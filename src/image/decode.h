// The decoders, one per format (internal to this library).
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "image/header.h"
#include "image/image.h"
#include "image/read_image.h"

namespace difftune {

// A whole file in memory, its header, and the name for errors about it.
struct EncodedImage {
  std::span<const uint8_t> bytes;
  ImageInfo info;
  std::string name;
};

// Pixels as stored (not rotated), RGBA if `keep_alpha`, else RGB. Each throws UserError for damaged data.
Image decode_png(const EncodedImage& file, bool keep_alpha, bool clip_16_bit_grey);
Image decode_jpeg(const EncodedImage& file, bool keep_alpha);
Image decode_webp(const EncodedImage& file, bool keep_alpha);
Image decode_bmp(const EncodedImage& file, bool keep_alpha);
Image decode_avif(const EncodedImage& file, bool keep_alpha);
Image decode_jpeg_xl(const EncodedImage& file, bool keep_alpha);

// `a` * `b` / 255, rounded.
inline uint8_t multiply_255(uint32_t a, uint32_t b) {
  const uint32_t t = a * b + 128;
  return static_cast<uint8_t>((t + (t >> 8)) >> 8);
}

}  // namespace difftune
