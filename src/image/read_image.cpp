#include "image/read_image.h"

#include <utility>

#include "base/files.h"
#include "image/byte_source.h"
#include "image/decode.h"
#include "image/header.h"
#include "image/transform.h"

namespace difftune {
namespace {

Image decode(const EncodedImage& file, bool keep_alpha, const ReadOptions& options) {
  switch (file.info.format) {
    case ImageFormat::png:
      return decode_png(file, keep_alpha, options.clip_16_bit_grey);
    case ImageFormat::jpeg:
      return decode_jpeg(file, keep_alpha);
    case ImageFormat::webp:
      return decode_webp(file, keep_alpha);
    case ImageFormat::bmp:
      return decode_bmp(file, keep_alpha);
    case ImageFormat::avif:
      return decode_avif(file, keep_alpha);
    case ImageFormat::jpeg_xl:
      return decode_jpeg_xl(file, keep_alpha);
  }
  return {};
}

}  // namespace

bool is_built_in(ImageFormat format) {
#ifndef DIFFTUNE_HAS_AVIF
  if (format == ImageFormat::avif) return false;
#endif
#ifndef DIFFTUNE_HAS_JXL
  if (format == ImageFormat::jpeg_xl) return false;
#endif
  return true;
}

ImageInfo read_image_info(const std::filesystem::path& path, ReadOptions options) {
  FileSource source(path);
  ImageInfo info = parse_header(source, path.string());
  if (options.apply_orientation && info.exif_orientation >= 5) std::swap(info.width_px, info.height_px);
  return info;
}

Image read_image(const std::filesystem::path& path, bool keep_alpha, ReadOptions options) {
  const std::string content = read_file(path);
  const std::span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(content.data()), content.size());
  MemoryBytes source(bytes);
  const EncodedImage file{bytes, parse_header(source, path.string()), path.string()};
  Image image = decode(file, keep_alpha, options);
  return options.apply_orientation ? apply_exif_orientation(std::move(image), file.info.exif_orientation) : image;
}

}  // namespace difftune
