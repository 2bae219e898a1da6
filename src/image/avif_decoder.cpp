#include <algorithm>
#include <memory>
#include <vector>

#include "base/error.h"
#include "image/decode.h"
#include "image/transform.h"

#ifdef DIFFTUNE_HAS_AVIF
#include <avif/avif.h>
#endif

namespace difftune {

#ifdef DIFFTUNE_HAS_AVIF
namespace {

using Decoder = std::unique_ptr<avifDecoder, decltype(&avifDecoderDestroy)>;

Decoder make_decoder() {
  Decoder decoder(avifDecoderCreate(), avifDecoderDestroy);
  DT_CHECK(decoder != nullptr, "libavif cannot start");
  decoder->maxThreads = 1;  // the loader reads several images at once
  decoder->ignoreExif = decoder->ignoreXMP = AVIF_TRUE;
  decoder->imageSizeLimit = static_cast<uint32_t>(kMaxImagePixels);
  // Encoders in use leave the "pixi" property out; Pillow reads such files too.
  decoder->strictFlags &= ~static_cast<avifStrictFlags>(AVIF_STRICT_PIXI_REQUIRED);
  return decoder;
}

void check(avifResult result, const std::string& name) {
  if (result == AVIF_RESULT_OK) return;
  if (result == AVIF_RESULT_TRUNCATED_DATA) fail_truncated(name, ImageFormat::avif);
  fail_damaged(name, ImageFormat::avif, avifResultToString(result));
}

// HEIF (ISO/IEC 23008-12, 6.5.10, 6.5.12): first `irot`, quarter turns anticlockwise, then `imir`, a mirror image with
// axis 0 top-bottom, 1 left-right. The EXIF orientation in the file has no effect there.
int orientation_of(const avifImage& image) {
  const int turns = (image.transformFlags & AVIF_TRANSFORM_IROT) != 0 ? image.irot.angle & 3 : 0;
  constexpr int kTurned[4] = {1, 8, 3, 6}, kThenTopBottom[4] = {4, 5, 2, 7}, kThenLeftRight[4] = {2, 7, 4, 5};
  if ((image.transformFlags & AVIF_TRANSFORM_IMIR) == 0) return kTurned[turns];
  return image.imir.mode == 0 ? kThenTopBottom[turns] : kThenLeftRight[turns];
}

// libavif's window on a ByteSource.
struct SourceIo {
  avifIO io{};
  ByteSource* source = nullptr;
  std::vector<uint8_t> buffer;

  static avifResult read(avifIO* io, uint32_t, uint64_t offset, size_t num_bytes, avifROData* out) {
    auto* self = static_cast<SourceIo*>(io->data);
    if (offset > self->source->size()) return AVIF_RESULT_IO_ERROR;
    self->buffer.resize(std::min<uint64_t>(num_bytes, self->source->size() - offset));
    self->buffer.resize(self->source->read_at(offset, self->buffer.data(), self->buffer.size()));
    *out = {self->buffer.data(), self->buffer.size()};
    return AVIF_RESULT_OK;
  }
};

}  // namespace

ImageInfo parse_avif_header(ByteSource& source, const std::string& name) {
  SourceIo window;
  window.source = &source;
  window.io.read = SourceIo::read;
  window.io.sizeHint = source.size();
  window.io.data = &window;
  const Decoder decoder = make_decoder();
  avifDecoderSetIO(decoder.get(), &window.io);
  check(avifDecoderParse(decoder.get()), name);
  return {.width_px = static_cast<int>(decoder->image->width),
          .height_px = static_cast<int>(decoder->image->height),
          .format = ImageFormat::avif,
          .has_alpha = decoder->alphaPresent != 0,
          .is_animated = decoder->imageCount > 1,
          .exif_orientation = orientation_of(*decoder->image)};
}

Image decode_avif(const EncodedImage& file, bool keep_alpha) {
  const Decoder decoder = make_decoder();
  check(avifDecoderSetIOMemory(decoder.get(), file.bytes.data(), file.bytes.size()), file.name);
  check(avifDecoderParse(decoder.get()), file.name);
  check(avifDecoderNextImage(decoder.get()), file.name);
  const avifImage& source = *decoder->image;
  if (static_cast<int>(source.width) != file.info.width_px || static_cast<int>(source.height) != file.info.height_px) {
    fail_damaged(file.name, ImageFormat::avif, "two sizes");
  }

  // Asked for RGB of a picture with alpha, libavif composites it on black; so the alpha is dropped afterwards.
  const bool via_alpha = !keep_alpha && source.alphaPlane != nullptr;
  Image image(file.info.width_px, file.info.height_px, keep_alpha || via_alpha ? 4 : 3);
  avifRGBImage rgb;
  avifRGBImageSetDefaults(&rgb, &source);
  rgb.depth = 8;
  rgb.format = image.channels == 4 ? AVIF_RGB_FORMAT_RGBA : AVIF_RGB_FORMAT_RGB;
  rgb.pixels = image.pixels.data();
  rgb.rowBytes = static_cast<uint32_t>(image.row_bytes());
  check(avifImageYUVToRGB(&source, &rgb), file.name);
  return via_alpha ? drop_alpha(image) : image;
}

#else

ImageInfo parse_avif_header(ByteSource&, const std::string& name) { fail_not_built_in(name, ImageFormat::avif); }
Image decode_avif(const EncodedImage& file, bool) { fail_not_built_in(file.name, ImageFormat::avif); }

#endif

}  // namespace difftune
