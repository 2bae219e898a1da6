// Windows and OS/2 bitmaps, uncompressed: 1, 4 and 8 bits with a palette, 16, 24 and 32 bits with or without masks.
// Source: Microsoft's "Bitmap Storage" and BITMAPCOREHEADER ... BITMAPV5HEADER pages.
#include <algorithm>
#include <array>
#include <bit>
#include <vector>

#include "base/error.h"
#include "image/byte_source.h"
#include "image/decode.h"

namespace difftune {
namespace {

constexpr size_t kFileHeaderBytes = 14, kCoreHeaderBytes = 12, kInfoHeaderBytes = 40;
enum Compression : uint32_t { kRaw = 0, kRle8 = 1, kRle4 = 2, kBitfields = 3, kAlphaBitfields = 6 };

struct BmpHeader {
  int width_px = 0, height_px = 0;
  bool top_down = false;
  uint32_t bits = 0;
  uint64_t pixels_offset = 0;
  std::array<uint32_t, 4> masks{};  // red, green, blue, alpha
  uint64_t palette_offset = 0;
  size_t palette_entries = 0, palette_entry_bytes = 0;
};

void refuse_compression(uint32_t compression, const std::string& name) {
  if (compression == kRaw || compression == kBitfields || compression == kAlphaBitfields) return;
  fail("{}: BMP with {} is not read; convert the image to PNG", name,
       compression == kRle8 || compression == kRle4 ? "RLE compression" : fmt::format("compression {}", compression));
}

// Masks follow a 40-byte header, or are part of a longer one.
void read_masks(ByteSource& source, size_t header_bytes, uint32_t compression, BmpHeader& header) {
  if (header.bits == 16) header.masks = {0x7C00, 0x03E0, 0x001F, 0};
  if (header.bits == 32) header.masks = {0xFF0000, 0xFF00, 0xFF, 0};
  if (compression == kRaw) return;
  std::array<uint8_t, 16> fields{};
  source.read_at(kFileHeaderBytes + kInfoHeaderBytes, fields.data(), fields.size());
  const bool has_alpha_mask = header_bytes >= 56 || compression == kAlphaBitfields;
  for (size_t i = 0; i < 4; ++i) {
    header.masks[i] = i < 3 || has_alpha_mask ? little_endian_32(fields.data() + i * 4) : 0;
  }
}

BmpHeader read_bmp_header(ByteSource& source, const std::string& name) {
  std::array<uint8_t, kFileHeaderBytes + kInfoHeaderBytes> start{};
  const size_t found = source.read_at(0, start.data(), start.size());
  const uint8_t* info = start.data() + kFileHeaderBytes;
  const size_t header_bytes = little_endian_32(info);
  BmpHeader header;
  header.pixels_offset = little_endian_32(start.data() + 10);
  uint32_t compression = kRaw, num_colors = 0;
  if (header_bytes == kCoreHeaderBytes && found >= kFileHeaderBytes + kCoreHeaderBytes) {
    header.width_px = static_cast<int>(little_endian_16(info + 4));
    header.height_px = static_cast<int>(little_endian_16(info + 6));
    header.bits = little_endian_16(info + 10);
    header.palette_entry_bytes = 3;
  } else if (header_bytes >= kInfoHeaderBytes && found == start.size()) {
    const auto height = static_cast<int32_t>(little_endian_32(info + 8));
    if (height == INT32_MIN) fail_damaged_header(name, ImageFormat::bmp);
    header.width_px = static_cast<int32_t>(little_endian_32(info + 4));
    header.height_px = height < 0 ? -height : height;
    header.top_down = height < 0;
    header.bits = little_endian_16(info + 14);
    compression = little_endian_32(info + 16);
    num_colors = little_endian_32(info + 32);
    header.palette_entry_bytes = 4;
  } else {
    fail_damaged_header(name, ImageFormat::bmp);
  }
  refuse_compression(compression, name);
  constexpr uint32_t kDepths[] = {1, 4, 8, 16, 24, 32};
  if (std::find(std::begin(kDepths), std::end(kDepths), header.bits) == std::end(kDepths)) {
    fail("{}: BMP with {} bits per pixel is not read; convert the image to PNG", name, header.bits);
  }
  header.palette_offset = kFileHeaderBytes + header_bytes;
  if (header.bits <= 8) {
    const uint32_t most = 1u << header.bits;
    header.palette_entries = num_colors == 0 ? most : std::min(num_colors, most);
  }
  read_masks(source, header_bytes, compression, header);
  return header;
}

// One channel of a packed pixel: the bits under `mask`, spread to 0..255 (rounded down, as Pillow does).
class MaskedChannel {
 public:
  explicit MaskedChannel(uint32_t mask)
      : mask_(mask), shift_(mask == 0 ? 0 : std::countr_zero(mask)), max_(mask >> shift_) {}
  uint8_t operator()(uint32_t pixel) const {
    if (max_ == 0) return 0;
    return static_cast<uint8_t>(uint64_t{(pixel & mask_) >> shift_} * 255 / max_);
  }

 private:
  uint32_t mask_;
  int shift_;
  uint32_t max_;
};

struct PaletteRow {
  const BmpHeader& header;
  std::vector<std::array<uint8_t, 3>> colors;

  PaletteRow(const EncodedImage& file, const BmpHeader& header) : header(header), colors(256) {
    MemoryBytes source(file.bytes);
    for (size_t i = 0; i < header.palette_entries; ++i) {
      std::array<uint8_t, 3> bgr{};
      source.read_exactly(header.palette_offset + i * header.palette_entry_bytes, bgr);
      colors[i] = {bgr[2], bgr[1], bgr[0]};
    }
  }
  void operator()(const uint8_t* in, int x, uint8_t* out) const {
    const uint32_t position = static_cast<uint32_t>(x) * header.bits;
    const uint32_t index = in[position / 8] >> (8 - header.bits - position % 8) & ((1u << header.bits) - 1);
    std::copy_n(colors[index].data(), 3, out);
  }
};

struct MaskedRow {
  const BmpHeader& header;
  std::array<MaskedChannel, 4> channels;

  explicit MaskedRow(const BmpHeader& header)
      : header(header),
        channels{MaskedChannel(header.masks[0]), MaskedChannel(header.masks[1]), MaskedChannel(header.masks[2]),
                 MaskedChannel(header.masks[3])} {}
  void operator()(const uint8_t* in, int x, int num_channels, uint8_t* out) const {
    const uint32_t pixel = header.bits == 16 ? little_endian_16(in + x * 2) : little_endian_32(in + x * 4);
    for (int c = 0; c < 3; ++c) out[c] = channels[static_cast<size_t>(c)](pixel);
    if (num_channels == 4 && header.masks[3] != 0) out[3] = channels[3](pixel);
  }
};

}  // namespace

ImageInfo parse_bmp_header(ByteSource& source, const std::string& name) {
  const BmpHeader header = read_bmp_header(source, name);
  return {.width_px = header.width_px,
          .height_px = header.height_px,
          .format = ImageFormat::bmp,
          .has_alpha = header.masks[3] != 0};
}

Image decode_bmp(const EncodedImage& file, bool keep_alpha) {
  MemoryBytes source(file.bytes);
  const BmpHeader header = read_bmp_header(source, file.name);
  // Rows are padded to four bytes.
  const uint64_t stride_bytes = (static_cast<uint64_t>(header.width_px) * header.bits + 31) / 32 * 4;
  if (header.pixels_offset + stride_bytes * static_cast<uint64_t>(header.height_px) > file.bytes.size()) {
    fail_truncated(file.name, ImageFormat::bmp);
  }
  Image image(header.width_px, header.height_px, keep_alpha ? 4 : 3);
  if (keep_alpha) std::fill(image.pixels.begin(), image.pixels.end(), uint8_t{255});
  const PaletteRow palette(file, header);
  const MaskedRow masked(header);
  for (int y = 0; y < image.height_px; ++y) {
    const auto stored_row = static_cast<uint64_t>(header.top_down ? y : image.height_px - 1 - y);
    const uint8_t* in = file.bytes.data() + header.pixels_offset + stored_row * stride_bytes;
    uint8_t* out = image.row(y);
    for (int x = 0; x < image.width_px; ++x, out += image.channels) {
      if (header.bits <= 8) {
        palette(in, x, out);
      } else if (header.bits == 24) {
        std::reverse_copy(in + x * 3, in + x * 3 + 3, out);
      } else {
        masked(in, x, image.channels, out);
      }
    }
  }
  return image;
}

}  // namespace difftune
