#include "image/header.h"

#include <algorithm>

#include "base/error.h"
#include "image/exif.h"
#include "image/sniff.h"

namespace difftune {
namespace {

// EXIF data is at most 64 KiB in JPEG; elsewhere more would be a mistake or an attack.
constexpr uint64_t kMaxExifBytes = 1 << 20;

int read_orientation(ByteSource& source, uint64_t offset, uint64_t num_bytes) {
  std::vector<uint8_t> exif(std::min(num_bytes, kMaxExifBytes));
  exif.resize(source.read_at(offset, exif.data(), exif.size()));
  return exif_orientation(exif);
}

void require_reasonable_size(const ImageInfo& info, const std::string& name) {
  if (info.width_px < 1 || info.height_px < 1) {
    fail("{}: the {} header says {} x {} pixels; the file is damaged, remove or replace it", name, name_of(info.format),
         info.width_px, info.height_px);
  }
  if (static_cast<int64_t>(info.width_px) * info.height_px > kMaxImagePixels) {
    fail("{}: {} x {} pixels are more than the limit of {} (a decompression bomb?); shrink or remove it", name,
         info.width_px, info.height_px, kMaxImagePixels);
  }
}

}  // namespace

void fail_damaged_header(const std::string& name, ImageFormat format) {
  fail("{}: the {} header is damaged or cut off; replace or remove the file", name, name_of(format));
}

void fail_truncated(const std::string& name, ImageFormat format) {
  fail("{}: the {} data is cut off before the picture ends; replace or remove the file", name, name_of(format));
}

void fail_damaged(const std::string& name, ImageFormat format, std::string_view why) {
  fail("{}: the {} data is damaged ({}); replace or remove the file", name, name_of(format), why);
}

void fail_not_built_in(const std::string& name, ImageFormat format) {
  fail("{}: this build of difftune cannot read {}; convert the image to PNG, or build with lib{}", name,
       name_of(format), format == ImageFormat::avif ? "avif" : "jxl");
}

// PNG specification (ISO/IEC 15948), 5.3 and 11.2. Chunks behind the first IDAT are left unread, so an eXIf chunk must
// come before it, as writers put it.
ImageInfo parse_png_header(ByteSource& source, const std::string& name) {
  constexpr uint8_t kAlphaBit = 4;
  std::array<uint8_t, 26> start;
  if (!source.read_exactly(0, start) || !has_tag(start.data() + 12, "IHDR")) {
    fail_damaged_header(name, ImageFormat::png);
  }
  ImageInfo info{.format = ImageFormat::png};
  const uint32_t width = big_endian_32(start.data() + 16), height = big_endian_32(start.data() + 20);
  if (width > INT32_MAX || height > INT32_MAX) fail_damaged_header(name, ImageFormat::png);
  info.width_px = static_cast<int>(width);
  info.height_px = static_cast<int>(height);
  info.has_alpha = (start[25] & kAlphaBit) != 0;

  uint64_t offset = 33;
  std::array<uint8_t, 8> chunk;
  while (source.read_exactly(offset, chunk) && !has_tag(chunk.data() + 4, "IDAT")) {
    const uint64_t num_bytes = big_endian_32(chunk.data());
    const auto is = [&](std::string_view tag) { return has_tag(chunk.data() + 4, tag); };
    if (is("tRNS")) info.has_alpha = true;
    if (is("acTL")) info.is_animated = true;
    if (is("eXIf")) info.exif_orientation = read_orientation(source, offset + 8, num_bytes);
    offset += 12 + num_bytes;
  }
  return info;
}

// ITU-T T.81, annex B: segments of marker, length and data up to the start of scan.
ImageInfo parse_jpeg_header(ByteSource& source, const std::string& name) {
  constexpr uint8_t kStartOfScan = 0xDA, kExif = 0xE1;
  const auto is_frame_header = [](uint8_t marker) {
    return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
  };
  const auto has_length = [](uint8_t marker) { return marker != 0x01 && !(marker >= 0xD0 && marker <= 0xD8); };
  ImageInfo info{.format = ImageFormat::jpeg};
  bool seen_exif = false;
  uint64_t offset = 2;
  std::array<uint8_t, 10> head;
  while (source.read_at(offset, head.data(), 4) == 4) {
    // Bytes between segments and fill bytes are skipped, as libjpeg does.
    if (head[0] != 0xFF || head[1] == 0xFF || head[1] == 0x00) {
      ++offset;
      continue;
    }
    const uint8_t marker = head[1];
    if (marker == kStartOfScan) break;
    if (!has_length(marker)) {
      offset += 2;
      continue;
    }
    const uint32_t num_bytes = big_endian_16(head.data() + 2);
    if (is_frame_header(marker)) {
      if (!source.read_exactly(offset, head)) break;
      info.height_px = static_cast<int>(big_endian_16(head.data() + 5));
      info.width_px = static_cast<int>(big_endian_16(head.data() + 7));
    } else if (marker == kExif && !seen_exif && num_bytes >= 8) {
      if (source.read_exactly(offset, head) && has_tag(head.data() + 4, {"Exif\0\0", 6})) {
        info.exif_orientation = read_orientation(source, offset + 4, num_bytes - 2);
        seen_exif = true;
      }
    }
    offset += 2 + num_bytes;
  }
  if (info.width_px == 0 || info.height_px == 0) fail_damaged_header(name, ImageFormat::jpeg);
  return info;
}

namespace {

// RFC 9649, 2.7: the extended header, then chunks, of which EXIF comes behind the pictures.
void parse_webp_extended(ByteSource& source, const uint8_t* chunk, ImageInfo& info) {
  constexpr uint8_t kAnimation = 0x02, kExif = 0x08, kAlpha = 0x10;
  const uint8_t flags = chunk[8];
  info.is_animated = (flags & kAnimation) != 0;
  info.has_alpha = (flags & kAlpha) != 0;
  info.width_px = static_cast<int>(little_endian_24(chunk + 12) + 1);
  info.height_px = static_cast<int>(little_endian_24(chunk + 15) + 1);
  if ((flags & kExif) == 0) return;
  std::array<uint8_t, 8> head;
  for (uint64_t offset = 30; source.read_exactly(offset, head);) {
    const uint64_t num_bytes = little_endian_32(head.data() + 4);
    if (has_tag(head.data(), "EXIF")) {
      info.exif_orientation = read_orientation(source, offset + 8, num_bytes);
      return;
    }
    offset += 8 + num_bytes + (num_bytes & 1);
  }
}

}  // namespace

// RFC 9649 (container, lossless) and RFC 6386, 9.1 (lossy).
ImageInfo parse_webp_header(ByteSource& source, const std::string& name) {
  constexpr uint64_t kFirstChunk = 12;
  constexpr uint32_t k14Bits = 0x3FFF;
  std::array<uint8_t, 18> chunk{};
  const size_t found = source.read_at(kFirstChunk, chunk.data(), chunk.size());
  ImageInfo info{.format = ImageFormat::webp};
  if (found >= 18 && has_tag(chunk.data(), "VP8X")) {
    parse_webp_extended(source, chunk.data(), info);
  } else if (found >= 18 && has_tag(chunk.data(), "VP8 ")) {
    info.width_px = static_cast<int>(little_endian_16(chunk.data() + 14) & k14Bits);
    info.height_px = static_cast<int>(little_endian_16(chunk.data() + 16) & k14Bits);
  } else if (found >= 13 && has_tag(chunk.data(), "VP8L")) {
    const uint32_t bits = little_endian_32(chunk.data() + 9);
    info.width_px = static_cast<int>((bits & k14Bits) + 1);
    info.height_px = static_cast<int>((bits >> 14 & k14Bits) + 1);
    info.has_alpha = (bits >> 28 & 1) != 0;
  } else {
    fail_damaged_header(name, ImageFormat::webp);
  }
  return info;
}

ImageInfo parse_header(ByteSource& source, const std::string& name) {
  std::array<uint8_t, kSniffBytes> beginning;
  const std::span<const uint8_t> found(beginning.data(), source.read_at(0, beginning.data(), beginning.size()));
  const auto format = sniff_image_format(found);
  if (!format) {
    fail(
        "{}: not an image that difftune reads, but {}; expected PNG, JPEG, WebP, BMP, AVIF or JPEG XL. Convert, "
        "replace or remove it",
        name, describe_content(found));
  }
  ImageInfo info;
  switch (*format) {
    case ImageFormat::png:
      info = parse_png_header(source, name);
      break;
    case ImageFormat::jpeg:
      info = parse_jpeg_header(source, name);
      break;
    case ImageFormat::webp:
      info = parse_webp_header(source, name);
      break;
    case ImageFormat::bmp:
      info = parse_bmp_header(source, name);
      break;
    case ImageFormat::avif:
      info = parse_avif_header(source, name);
      break;
    case ImageFormat::jpeg_xl:
      info = parse_jpeg_xl_header(source, name);
      break;
  }
  require_reasonable_size(info, name);
  return info;
}

}  // namespace difftune
