// A separable convolution in 8.22 fixed point, rounded to 8 bits after each of its two passes. When it shrinks, the
// filter is stretched so that every source pixel counts.
#include "image/resize_pillow.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>
#include <vector>

#include "image/decode.h"

namespace difftune {
namespace {

constexpr int kPrecisionBits = 22;
constexpr int32_t kHalf = 1 << (kPrecisionBits - 1);

double sinc(double x) {
  if (x == 0.0) return 1.0;
  x *= std::numbers::pi;
  return std::sin(x) / x;
}

double evaluate(PillowFilter filter, double x) {
  if (filter == PillowFilter::box) return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
  return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0;
}

constexpr double support_of(PillowFilter filter) { return filter == PillowFilter::box ? 0.5 : 3.0; }

// For each output position along one axis: the first source position and the weights from there on.
struct Taps {
  struct Range {
    int first = 0, count = 0;
  };
  std::vector<Range> ranges;
  std::vector<int32_t> weights;  // `stride` for each output position
  size_t stride = 0;

  const int32_t* weights_of(size_t i) const { return weights.data() + i * stride; }
};

Taps make_taps(int in_size, int out_size, PillowFilter filter) {
  const double scale = static_cast<double>(in_size) / out_size;
  const double stretch = std::max(scale, 1.0), shrink = 1.0 / stretch;
  const double support = support_of(filter) * stretch;
  Taps taps;
  taps.stride = static_cast<size_t>(std::ceil(support)) * 2 + 1;
  taps.ranges.resize(static_cast<size_t>(out_size));
  taps.weights.resize(static_cast<size_t>(out_size) * taps.stride);
  std::vector<double> values(taps.stride);
  for (int i = 0; i < out_size; ++i) {
    const double center = (i + 0.5) * scale;
    const int first = std::max(static_cast<int>(center - support + 0.5), 0);
    const int count = std::min(static_cast<int>(center + support + 0.5), in_size) - first;
    double sum = 0.0;
    for (int k = 0; k < count; ++k)
      sum += values[static_cast<size_t>(k)] = evaluate(filter, (k + first - center + 0.5) * shrink);
    int32_t* weights = taps.weights.data() + static_cast<size_t>(i) * taps.stride;
    for (int k = 0; k < count; ++k) {
      const double w = sum != 0.0 ? values[static_cast<size_t>(k)] / sum : values[static_cast<size_t>(k)];
      weights[k] = static_cast<int32_t>((w < 0 ? -0.5 : 0.5) + w * (1 << kPrecisionBits));
    }
    taps.ranges[static_cast<size_t>(i)] = {first, count};
  }
  return taps;
}

uint8_t to_byte(int32_t sum) { return static_cast<uint8_t>(std::clamp(sum >> kPrecisionBits, 0, 255)); }

template <int kChannels>
void convolve_row(const uint8_t* in, const Taps& taps, uint8_t* out) {
  for (size_t x = 0; x < taps.ranges.size(); ++x, out += kChannels) {
    const auto [first, count] = taps.ranges[x];
    const int32_t* weights = taps.weights_of(x);
    const uint8_t* pixel = in + static_cast<ptrdiff_t>(first) * kChannels;
    int32_t sums[kChannels];
    std::fill_n(sums, kChannels, kHalf);
    for (int k = 0; k < count; ++k, pixel += kChannels) {
      for (int c = 0; c < kChannels; ++c) sums[c] += pixel[c] * weights[k];
    }
    for (int c = 0; c < kChannels; ++c) out[c] = to_byte(sums[c]);
  }
}

Image convolve_horizontally(const Image& image, int width_px, PillowFilter filter) {
  const Taps taps = make_taps(image.width_px, width_px, filter);
  Image result(width_px, image.height_px, image.channels);
  for (int y = 0; y < image.height_px; ++y) {
    (image.channels == 3 ? convolve_row<3> : convolve_row<4>)(image.row(y), taps, result.row(y));
  }
  return result;
}

Image convolve_vertically(const Image& image, int height_px, PillowFilter filter) {
  const Taps taps = make_taps(image.height_px, height_px, filter);
  Image result(image.width_px, height_px, image.channels);
  std::vector<int32_t> sums(image.row_bytes());
  for (int y = 0; y < height_px; ++y) {
    const auto [first, count] = taps.ranges[static_cast<size_t>(y)];
    const int32_t* weights = taps.weights_of(static_cast<size_t>(y));
    std::fill(sums.begin(), sums.end(), kHalf);
    for (int k = 0; k < count; ++k) {
      const uint8_t* in = image.row(first + k);
      const int32_t weight = weights[k];
      for (size_t i = 0; i < sums.size(); ++i) sums[i] += in[i] * weight;
    }
    std::transform(sums.begin(), sums.end(), result.row(y), to_byte);
  }
  return result;
}

Image convolve(const Image& image, int width_px, int height_px, PillowFilter filter) {
  const bool horizontal = width_px != image.width_px, vertical = height_px != image.height_px;
  if (!vertical) return convolve_horizontally(image, width_px, filter);
  if (!horizontal) return convolve_vertically(image, height_px, filter);
  // The order decides the rounding. Pillow has had the second branch since version 13.
  const int less_height = image.height_px - height_px, less_width = image.width_px - width_px;
  if (less_height > 0 && less_height > less_width * 2) {
    return convolve_horizontally(convolve_vertically(image, height_px, filter), width_px, filter);
  }
  return convolve_vertically(convolve_horizontally(image, width_px, filter), height_px, filter);
}

void premultiply(Image& image) {
  for (size_t i = 0; i < image.pixels.size(); i += 4) {
    uint8_t* pixel = image.pixels.data() + i;
    for (int c = 0; c < 3; ++c) pixel[c] = multiply_255(pixel[c], pixel[3]);
  }
}

void unpremultiply(Image& image) {
  for (size_t i = 0; i < image.pixels.size(); i += 4) {
    uint8_t* pixel = image.pixels.data() + i;
    const int alpha = pixel[3];
    if (alpha == 0 || alpha == 255) continue;
    for (int c = 0; c < 3; ++c) pixel[c] = static_cast<uint8_t>(std::min(255 * pixel[c] / alpha, 255));
  }
}

}  // namespace

Image resize_pillow(const Image& image, int width_px, int height_px, PillowFilter filter) {
  if (image.channels == 3) return convolve(image, width_px, height_px, filter);
  Image premultiplied = image;
  premultiply(premultiplied);
  Image result = convolve(premultiplied, width_px, height_px, filter);
  unpremultiply(result);
  return result;
}

}  // namespace difftune
