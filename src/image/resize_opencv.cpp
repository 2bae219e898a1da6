#include "image/resize_opencv.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

namespace difftune {
namespace {

// Between two neighbours, in fixed point: 11 bits for weights, and bits dropped on the way so that 16-bit products do.
struct Linear {
  static constexpr size_t kTaps = 2;
  using Weight = int16_t;
  using Sum = int32_t;

  static std::array<Weight, 2> weights(float fraction) {
    return {static_cast<Weight>(std::lrintf((1.0f - fraction) * 2048)),
            static_cast<Weight>(std::lrintf(fraction * 2048))};
  }
  static Sum across(const std::array<Sum, 2>& samples, const std::array<Weight, 2>& w) {
    return samples[0] * w[0] + samples[1] * w[1];
  }
  static uint8_t down(const std::array<Sum, 2>& sums, const std::array<Weight, 2>& w) {
    const Sum sum = ((w[0] * (sums[0] >> 4)) >> 16) + ((w[1] * (sums[1] >> 4)) >> 16);
    return static_cast<uint8_t>((sum + 2) >> 2);
  }
};

// Cubic convolution with a = -0.75 in float. OpenCV's own code has 11-bit weights, but its binaries for x86 call
// Intel's IPP here, which computes in float; this gives IPP's bytes but for sums that end in exactly one half.
struct Cubic {
  static constexpr size_t kTaps = 4;
  using Weight = float;
  using Sum = float;

  static std::array<Weight, 4> weights(float x) {
    constexpr float a = -0.75f;
    const float y = 1 - x;
    const float first = ((a * (x + 1) - 5 * a) * (x + 1) + 8 * a) * (x + 1) - 4 * a;
    const float second = ((a + 2) * x - (a + 3)) * x * x + 1;
    const float third = ((a + 2) * y - (a + 3)) * y * y + 1;
    return {first, second, third, 1 - first - second - third};
  }
  static Sum across(const std::array<Sum, 4>& samples, const std::array<Weight, 4>& w) {
    return (samples[0] * w[0] + samples[1] * w[1]) + (samples[2] * w[2] + samples[3] * w[3]);
  }
  static uint8_t down(const std::array<Sum, 4>& sums, const std::array<Weight, 4>& w) {
    return round_to_byte(across(sums, w));
  }
};

// Where an output position lies between source positions `base` and `base` + 1.
struct Position {
  int base;
  float fraction;
};

Position centre_position(int i, int in_size, int out_size) {
  const auto exact = static_cast<float>((i + 0.5) * opencv_scale(in_size, out_size) - 0.5);
  const float base = std::floor(exact);
  return {static_cast<int>(base), exact - base};
}

Position area_position(int i, int in_size, int out_size) {
  const auto base = static_cast<int>(std::floor(i * opencv_scale(in_size, out_size)));
  const auto fraction = static_cast<float>((i + 1) - (base + 1) * (static_cast<double>(out_size) / in_size));
  return {base, fraction <= 0 ? 0.0f : fraction - std::floor(fraction)};
}

// For one output position along a side: source positions (clamped to the image) and their weights.
template <typename Scheme>
struct Taps {
  std::array<int, Scheme::kTaps> source;
  std::array<typename Scheme::Weight, Scheme::kTaps> weight;
};

template <typename Scheme>
std::vector<Taps<Scheme>> make_taps(int in_size, int out_size, Position (*position_of)(int, int, int)) {
  constexpr int kBefore = static_cast<int>(Scheme::kTaps) / 2 - 1;
  std::vector<Taps<Scheme>> taps(static_cast<size_t>(out_size));
  for (int i = 0; i < out_size; ++i) {
    const auto [base, fraction] = position_of(i, in_size, out_size);
    Taps<Scheme>& t = taps[static_cast<size_t>(i)];
    t.weight = Scheme::weights(fraction);
    for (size_t k = 0; k < Scheme::kTaps; ++k) {
      t.source[k] = std::clamp(base - kBefore + static_cast<int>(k), 0, in_size - 1);
    }
  }
  return taps;
}

template <typename Scheme, int kChannels>
void interpolate_across(const uint8_t* in, const std::vector<Taps<Scheme>>& taps, typename Scheme::Sum* out) {
  for (const Taps<Scheme>& t : taps) {
    for (int c = 0; c < kChannels; ++c) {
      std::array<typename Scheme::Sum, Scheme::kTaps> samples;
      for (size_t k = 0; k < Scheme::kTaps; ++k) samples[k] = in[t.source[k] * kChannels + c];
      *out++ = Scheme::across(samples, t.weight);
    }
  }
}

template <typename Scheme>
Image interpolate(const Image& image, int width_px, int height_px, Position (*position_of)(int, int, int)) {
  constexpr size_t kTaps = Scheme::kTaps;
  using Sum = typename Scheme::Sum;
  const auto columns = make_taps<Scheme>(image.width_px, width_px, position_of);
  const auto rows = make_taps<Scheme>(image.height_px, height_px, position_of);
  const auto across = image.channels == 3 ? interpolate_across<Scheme, 3> : interpolate_across<Scheme, 4>;
  Image result(width_px, height_px, image.channels);
  // Neighbouring output rows share source rows: each is interpolated once and kept until another takes its place.
  std::array<std::vector<Sum>, kTaps> kept;
  std::array<int, kTaps> kept_source;
  kept_source.fill(-1);
  for (auto& row : kept) row.resize(result.row_bytes());
  for (int y = 0; y < height_px; ++y) {
    const Taps<Scheme>& t = rows[static_cast<size_t>(y)];
    std::array<const Sum*, kTaps> inputs;
    for (size_t k = 0; k < kTaps; ++k) {
      const size_t place = static_cast<size_t>(t.source[k]) % kTaps;
      if (kept_source[place] != t.source[k]) {
        across(image.row(t.source[k]), columns, kept[place].data());
        kept_source[place] = t.source[k];
      }
      inputs[k] = kept[place].data();
    }
    uint8_t* out = result.row(y);
    for (size_t i = 0; i < result.row_bytes(); ++i) {
      std::array<Sum, kTaps> sums;
      for (size_t k = 0; k < kTaps; ++k) sums[k] = inputs[k][i];
      out[i] = Scheme::down(sums, t.weight);
    }
  }
  return result;
}

bool is_half(int in_size, int out_size) {
  return std::abs(opencv_scale(in_size, out_size) - 2.0) < std::numeric_limits<double>::epsilon();
}

// Centres of output pixels in 16.16 fixed point.
std::vector<int> nearest_sources(int in_size, int out_size) {
  const int64_t step = ((int64_t{in_size} << 16) + out_size / 2) / out_size;
  const int64_t first = step / 2 - in_size % 2;
  std::vector<int> sources(static_cast<size_t>(out_size));
  for (int i = 0; i < out_size; ++i) {
    sources[static_cast<size_t>(i)] = static_cast<int>(std::min<int64_t>((step * i + first) >> 16, in_size - 1));
  }
  return sources;
}

}  // namespace

Image resize_linear_as_area(const Image& image, int width_px, int height_px) {
  return interpolate<Linear>(image, width_px, height_px, area_position);
}

Image resize_linear(const Image& image, int width_px, int height_px) {
  if (is_half(image.width_px, width_px) && is_half(image.height_px, height_px)) {
    return resize_area(image, width_px, height_px);
  }
  return interpolate<Linear>(image, width_px, height_px, centre_position);
}

Image resize_cubic(const Image& image, int width_px, int height_px) {
  return interpolate<Cubic>(image, width_px, height_px, centre_position);
}

Image resize_nearest_exact(const Image& image, int width_px, int height_px) {
  const std::vector<int> columns = nearest_sources(image.width_px, width_px);
  const std::vector<int> rows = nearest_sources(image.height_px, height_px);
  Image result(width_px, height_px, image.channels);
  uint8_t* out = result.pixels.data();
  for (int source_y : rows) {
    const uint8_t* in = image.row(source_y);
    for (int source_x : columns) out = std::copy_n(in + source_x * image.channels, image.channels, out);
  }
  return result;
}

}  // namespace difftune
