// A decoded picture in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace difftune {

// 8 bits per channel, rows from the top, channels interleaved: RGB (channels = 3) or RGBA with straight alpha (4).
struct Image {
  Image() = default;
  // All samples 0.
  Image(int width_px, int height_px, int channels)
      : width_px(width_px),
        height_px(height_px),
        channels(channels),
        pixels(static_cast<size_t>(width_px) * static_cast<size_t>(height_px) * static_cast<size_t>(channels)) {}

  size_t row_bytes() const { return static_cast<size_t>(width_px) * static_cast<size_t>(channels); }
  uint8_t* row(int y) { return pixels.data() + static_cast<size_t>(y) * row_bytes(); }
  const uint8_t* row(int y) const { return pixels.data() + static_cast<size_t>(y) * row_bytes(); }
  bool empty() const { return pixels.empty(); }
  bool operator==(const Image&) const = default;

  int width_px = 0, height_px = 0, channels = 0;
  std::vector<uint8_t> pixels;
};

}  // namespace difftune
