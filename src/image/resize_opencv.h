// OpenCV's cv::resize() for 8-bit images (internal to this library). The formulas are those of OpenCV 4.10's generic
// code in modules/imgproc/src/resize.cpp (Apache 2.0), written anew.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "image/image.h"

namespace difftune {

// INTER_AREA. Where a side grows it is a blend of two neighbours, as OpenCV does it.
Image resize_area(const Image& image, int width_px, int height_px);
// INTER_LINEAR.
Image resize_linear(const Image& image, int width_px, int height_px);
// INTER_CUBIC as OpenCV's binaries for x86 compute it.
Image resize_cubic(const Image& image, int width_px, int height_px);
// INTER_NEAREST_EXACT.
Image resize_nearest_exact(const Image& image, int width_px, int height_px);

// The linear scheme with the weights OpenCV uses for INTER_AREA where a side grows.
Image resize_linear_as_area(const Image& image, int width_px, int height_px);

// Source pixels per output pixel along one side. By way of the inverse, as OpenCV computes it: the last bit matters.
inline double opencv_scale(int in_size, int out_size) { return 1.0 / (static_cast<double>(out_size) / in_size); }

// Rounds to the nearest, halves to even, and clips to a byte.
// (Adding 1.5 * 2^23 leaves the rounded number in the low bits; unlike nearbyint() the compiler can vectorise it.)
inline uint8_t round_to_byte(float value) {
  constexpr float kMagic = 12582912.0f;
  return static_cast<uint8_t>(std::bit_cast<int32_t>(std::clamp(value, 0.0f, 255.0f) + kMagic));
}

}  // namespace difftune
