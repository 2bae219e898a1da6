#include <algorithm>
#include <memory>
#include <vector>

#include "base/error.h"
#include "image/decode.h"

#ifdef DIFFTUNE_HAS_JXL
#include <jxl/decode.h>
#endif

namespace difftune {

#ifdef DIFFTUNE_HAS_JXL
namespace {

using Decoder = std::unique_ptr<JxlDecoder, decltype(&JxlDecoderDestroy)>;

Decoder make_decoder(int events) {
  Decoder decoder(JxlDecoderCreate(nullptr), JxlDecoderDestroy);
  DT_CHECK(decoder != nullptr, "libjxl cannot start");
  const bool ready = JxlDecoderSubscribeEvents(decoder.get(), events) == JXL_DEC_SUCCESS &&
                     JxlDecoderSetUnpremultiplyAlpha(decoder.get(), JXL_TRUE) == JXL_DEC_SUCCESS;
  DT_CHECK(ready, "libjxl refuses its settings");
  return decoder;
}

// The header may lie anywhere in the container, so more of the file is given until it is found.
JxlBasicInfo read_basic_info(ByteSource& source, const std::string& name) {
  std::vector<uint8_t> bytes;
  for (size_t num_bytes = 4096;; num_bytes *= 4) {
    bytes.resize(std::min<uint64_t>(num_bytes, source.size()));
    bytes.resize(source.read_at(0, bytes.data(), bytes.size()));
    const Decoder decoder = make_decoder(JXL_DEC_BASIC_INFO);
    JxlDecoderSetInput(decoder.get(), bytes.data(), bytes.size());
    const JxlDecoderStatus status = JxlDecoderProcessInput(decoder.get());
    JxlBasicInfo info;
    if (status == JXL_DEC_BASIC_INFO && JxlDecoderGetBasicInfo(decoder.get(), &info) == JXL_DEC_SUCCESS) return info;
    if (status != JXL_DEC_NEED_MORE_INPUT || bytes.size() < num_bytes) {
      fail_damaged_header(name, ImageFormat::jpeg_xl);
    }
  }
}

}  // namespace

ImageInfo parse_jpeg_xl_header(ByteSource& source, const std::string& name) {
  const JxlBasicInfo basic = read_basic_info(source, name);
  return {.width_px = static_cast<int>(std::min<uint32_t>(basic.xsize, INT32_MAX)),
          .height_px = static_cast<int>(std::min<uint32_t>(basic.ysize, INT32_MAX)),
          .format = ImageFormat::jpeg_xl,
          .has_alpha = basic.alpha_bits > 0,
          .is_animated = basic.have_animation != 0};
}

Image decode_jpeg_xl(const EncodedImage& file, bool keep_alpha) {
  Image image(file.info.width_px, file.info.height_px, keep_alpha ? 4 : 3);
  const JxlPixelFormat format{.num_channels = static_cast<uint32_t>(image.channels),
                              .data_type = JXL_TYPE_UINT8,
                              .endianness = JXL_NATIVE_ENDIAN,
                              .align = 0};
  const Decoder decoder = make_decoder(JXL_DEC_FULL_IMAGE);
  JxlDecoderSetInput(decoder.get(), file.bytes.data(), file.bytes.size());
  JxlDecoderCloseInput(decoder.get());
  while (true) {
    switch (JxlDecoderProcessInput(decoder.get())) {
      case JXL_DEC_NEED_IMAGE_OUT_BUFFER: {
        size_t num_bytes = 0;
        if (JxlDecoderImageOutBufferSize(decoder.get(), &format, &num_bytes) != JXL_DEC_SUCCESS ||
            num_bytes != image.pixels.size() ||
            JxlDecoderSetImageOutBuffer(decoder.get(), &format, image.pixels.data(), num_bytes) != JXL_DEC_SUCCESS) {
          fail_damaged(file.name, ImageFormat::jpeg_xl, "unexpected picture size");
        }
        break;
      }
      case JXL_DEC_FULL_IMAGE:
        return image;
      case JXL_DEC_NEED_MORE_INPUT:
        fail_truncated(file.name, ImageFormat::jpeg_xl);
      default:
        fail_damaged(file.name, ImageFormat::jpeg_xl, "bitstream error");
    }
  }
}

#else

ImageInfo parse_jpeg_xl_header(ByteSource&, const std::string& name) { fail_not_built_in(name, ImageFormat::jpeg_xl); }
Image decode_jpeg_xl(const EncodedImage& file, bool) { fail_not_built_in(file.name, ImageFormat::jpeg_xl); }

#endif

}  // namespace difftune
