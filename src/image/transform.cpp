#include "image/transform.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace difftune {
namespace {

// The image whose pixel (x, y) is source[first + x * step_x + y * step_y], counted in pixels.
Image remap(const Image& source, int width_px, int height_px, ptrdiff_t first, ptrdiff_t step_x, ptrdiff_t step_y) {
  Image result(width_px, height_px, source.channels);
  const ptrdiff_t channels = source.channels;
  uint8_t* out = result.pixels.data();
  for (int y = 0; y < height_px; ++y) {
    const uint8_t* in = source.pixels.data() + (first + y * step_y) * channels;
    for (int x = 0; x < width_px; ++x, in += step_x * channels, out += channels) {
      for (ptrdiff_t c = 0; c < channels; ++c) out[c] = in[c];
    }
  }
  return result;
}

}  // namespace

Image crop(const Image& image, int left_px, int top_px, int width_px, int height_px) {
  DT_CHECK(left_px >= 0 && top_px >= 0 && width_px > 0 && height_px > 0 && left_px + width_px <= image.width_px &&
               top_px + height_px <= image.height_px,
           "{} x {} at ({}, {}) from {} x {}", width_px, height_px, left_px, top_px, image.width_px, image.height_px);
  Image result(width_px, height_px, image.channels);
  const size_t skip = static_cast<size_t>(left_px) * static_cast<size_t>(image.channels);
  for (int y = 0; y < height_px; ++y) std::memcpy(result.row(y), image.row(top_px + y) + skip, result.row_bytes());
  return result;
}

Image flip_horizontal(const Image& image) {
  return remap(image, image.width_px, image.height_px, image.width_px - 1, -1, image.width_px);
}

Image apply_exif_orientation(Image image, int orientation) {
  const ptrdiff_t w = image.width_px, h = image.height_px, last = w * h - 1;
  switch (orientation) {
    case 2:
      return remap(image, image.width_px, image.height_px, w - 1, -1, w);
    case 3:
      return remap(image, image.width_px, image.height_px, last, -1, -w);
    case 4:
      return remap(image, image.width_px, image.height_px, w * (h - 1), 1, -w);
    case 5:
      return remap(image, image.height_px, image.width_px, 0, w, 1);
    case 6:
      return remap(image, image.height_px, image.width_px, w * (h - 1), -w, 1);
    case 7:
      return remap(image, image.height_px, image.width_px, last, -w, -1);
    case 8:
      return remap(image, image.height_px, image.width_px, w - 1, w, -1);
    default:
      return image;
  }
}

Image drop_alpha(const Image& image) {
  Image result(image.width_px, image.height_px, 3);
  const auto channels = static_cast<size_t>(image.channels);
  const uint8_t* in = image.pixels.data();
  for (size_t i = 0; i < result.pixels.size(); i += 3, in += channels) {
    for (size_t c = 0; c < 3; ++c) result.pixels[i + c] = in[c];
  }
  return result;
}

}  // namespace difftune
