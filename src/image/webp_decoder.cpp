#include <webp/decode.h>

#include "base/error.h"
#include "image/byte_source.h"
#include "image/decode.h"

namespace difftune {
namespace {

std::string_view describe(VP8StatusCode status) {
  switch (status) {
    case VP8_STATUS_OUT_OF_MEMORY:
      return "out of memory";
    case VP8_STATUS_UNSUPPORTED_FEATURE:
      return "unsupported feature";
    default:
      return "bitstream error";
  }
}

// Decodes one picture to `out`, whose rows are `stride_bytes` apart. `data` is a file or the data of a frame.
void decode_picture(std::span<const uint8_t> data, const EncodedImage& file, bool keep_alpha, uint8_t* out,
                    size_t stride_bytes, size_t out_bytes) {
  WebPDecoderConfig config;
  DT_CHECK(WebPInitDecoderConfig(&config), "libwebp has another version than its header");
  config.output.colorspace = keep_alpha ? MODE_RGBA : MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA = {.rgba = out, .stride = static_cast<int>(stride_bytes), .size = out_bytes};
  const VP8StatusCode status = WebPDecode(data.data(), data.size(), &config);
  if (status == VP8_STATUS_NOT_ENOUGH_DATA || status == VP8_STATUS_SUSPENDED) {
    fail_truncated(file.name, ImageFormat::webp);
  }
  if (status != VP8_STATUS_OK) fail_damaged(file.name, ImageFormat::webp, describe(status));
}

struct Frame {
  int x_px = 0, y_px = 0, width_px = 0, height_px = 0;
  std::span<const uint8_t> data;
};

// The first ANMF chunk (RFC 9649, 2.7.1.2).
Frame first_frame(const EncodedImage& file) {
  constexpr size_t kFirstChunk = 12, kFrameHeaderBytes = 16;
  const uint8_t* bytes = file.bytes.data();
  for (size_t offset = kFirstChunk; offset + 8 <= file.bytes.size();) {
    const size_t num_bytes = little_endian_32(bytes + offset + 4);
    if (has_tag(bytes + offset, "ANMF") && num_bytes >= kFrameHeaderBytes) {
      if (num_bytes > file.bytes.size() - offset - 8) fail_truncated(file.name, ImageFormat::webp);
      const uint8_t* head = bytes + offset + 8;
      return {.x_px = static_cast<int>(little_endian_24(head) * 2),
              .y_px = static_cast<int>(little_endian_24(head + 3) * 2),
              .width_px = static_cast<int>(little_endian_24(head + 6) + 1),
              .height_px = static_cast<int>(little_endian_24(head + 9) + 1),
              .data = file.bytes.subspan(offset + 8 + kFrameHeaderBytes, num_bytes - kFrameHeaderBytes)};
    }
    offset += 8 + num_bytes + (num_bytes & 1);
  }
  fail_truncated(file.name, ImageFormat::webp);
}

}  // namespace

Image decode_webp(const EncodedImage& file, bool keep_alpha) {
  Image image(file.info.width_px, file.info.height_px, keep_alpha ? 4 : 3);
  Frame frame{.width_px = image.width_px, .height_px = image.height_px, .data = file.bytes};
  if (file.info.is_animated) frame = first_frame(file);

  WebPBitstreamFeatures features;
  const VP8StatusCode status = WebPGetFeatures(frame.data.data(), frame.data.size(), &features);
  if (status == VP8_STATUS_NOT_ENOUGH_DATA) fail_truncated(file.name, ImageFormat::webp);
  if (status != VP8_STATUS_OK) fail_damaged(file.name, ImageFormat::webp, describe(status));
  if (features.width != frame.width_px || features.height != frame.height_px ||
      frame.x_px + frame.width_px > image.width_px || frame.y_px + frame.height_px > image.height_px) {
    fail_damaged(file.name, ImageFormat::webp, "two sizes");
  }
  // A frame smaller than the canvas lies on transparent black, whatever background the file names, as in libwebp.
  uint8_t* out = image.row(frame.y_px) + static_cast<size_t>(frame.x_px) * static_cast<size_t>(image.channels);
  const size_t out_bytes = static_cast<size_t>(image.pixels.data() + image.pixels.size() - out);
  decode_picture(frame.data, file, keep_alpha, out, image.row_bytes(), out_bytes);
  return image;
}

}  // namespace difftune
