// OpenCV's INTER_AREA: every output pixel is the mean of the source area it covers.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "image/resize_opencv.h"

namespace difftune {
namespace {

// Means over blocks of whole pixels. The sums are exact, so columns are added first, which is the faster order.
template <int kChannels>
Image mean_of_blocks(const Image& image, int width_px, int height_px, int block_width, int block_height) {
  Image result(width_px, height_px, kChannels);
  const float share = 1.0f / static_cast<float>(block_width * block_height);
  // OpenCV rounds halves up in blocks of 2 x 2 and to even in all others.
  const bool halves_up = block_width == 2 && block_height == 2;
  std::vector<int32_t> columns(image.row_bytes()), sums(result.row_bytes());
  for (int y = 0; y < height_px; ++y) {
    std::fill(columns.begin(), columns.end(), 0);
    for (int dy = 0; dy < block_height; ++dy) {
      const uint8_t* in = image.row(y * block_height + dy);
      for (size_t i = 0; i < columns.size(); ++i) columns[i] += in[i];
    }
    const int32_t* column = columns.data();
    for (size_t i = 0; i < sums.size(); i += kChannels) {
      int32_t block[kChannels] = {};
      for (int dx = 0; dx < block_width; ++dx, column += kChannels) {
        for (int c = 0; c < kChannels; ++c) block[c] += column[c];
      }
      std::copy_n(block, kChannels, sums.data() + i);
    }
    uint8_t* out = result.row(y);
    if (halves_up) {
      for (size_t i = 0; i < sums.size(); ++i) out[i] = static_cast<uint8_t>((sums[i] + 2) >> 2);
    } else {
      for (size_t i = 0; i < sums.size(); ++i) out[i] = round_to_byte(static_cast<float>(sums[i]) * share);
    }
  }
  return result;
}

// One source position's part in one output position.
struct Share {
  int source = 0, target = 0;
  float weight = 0;
};

std::vector<Share> make_shares(int in_size, int out_size) {
  constexpr double kNothing = 1e-3;  // an overlap that OpenCV leaves out
  const double scale = opencv_scale(in_size, out_size);
  std::vector<Share> shares;
  for (int i = 0; i < out_size; ++i) {
    const double begin = i * scale, end = begin + scale;
    const double width = std::min(scale, in_size - begin);
    const int last = std::min(static_cast<int>(std::floor(end)), in_size - 1);
    const int first = std::min(static_cast<int>(std::ceil(begin)), last);
    if (first - begin > kNothing) shares.push_back({first - 1, i, static_cast<float>((first - begin) / width)});
    for (int k = first; k < last; ++k) shares.push_back({k, i, static_cast<float>(1.0 / width)});
    if (end - last > kNothing) {
      shares.push_back({last, i, static_cast<float>(std::min(std::min(end - last, 1.0), width) / width)});
    }
  }
  return shares;
}

// A pixel in a vector register, as GCC and Clang spell it; of RGB the fourth lane is the next pixel's red, and unused.
using Float4 = float __attribute__((vector_size(16)));

// out[target] = sum of weight * in[source], in the order of `shares`. Reads up to a sample behind the row.
template <int kChannels>
void shrink_row(const float* in, const std::vector<Share>& shares, float* out) {
  for (auto share = shares.begin(); share != shares.end();) {
    const int target = share->target;
    Float4 sum{};
    do {
      Float4 pixel;
      std::memcpy(&pixel, in + static_cast<ptrdiff_t>(share->source) * kChannels, sizeof(pixel));
      sum += pixel * share->weight;
    } while (++share != shares.end() && share->target == target);
    std::memcpy(out + static_cast<ptrdiff_t>(target) * kChannels, &sum, kChannels * sizeof(float));
  }
}

// Means over areas with fractions of pixels: rows first, then columns, in float, as the order of sums decides the last
// bit.
template <int kChannels>
Image mean_of_areas(const Image& image, int width_px, int height_px) {
  const std::vector<Share> columns = make_shares(image.width_px, width_px);
  const std::vector<Share> rows = make_shares(image.height_px, height_px);
  Image result(width_px, height_px, kChannels);
  std::vector<float> row(image.row_bytes() + 1), shrunk(result.row_bytes()), sums(result.row_bytes());
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto [source, target, weight] = rows[i];
    // Two output rows may share a source row.
    if (i == 0 || rows[i - 1].source != source) {
      std::copy_n(image.row(source), image.row_bytes(), row.begin());
      shrink_row<kChannels>(row.data(), columns, shrunk.data());
    }
    if (i == 0 || rows[i - 1].target != target) std::fill(sums.begin(), sums.end(), 0.0f);
    for (size_t k = 0; k < sums.size(); ++k) sums[k] += weight * shrunk[k];
    if (i + 1 == rows.size() || rows[i + 1].target != target) {
      std::transform(sums.begin(), sums.end(), result.row(target), round_to_byte);
    }
  }
  return result;
}

bool is_whole(double scale) { return std::abs(scale - std::nearbyint(scale)) < std::numeric_limits<double>::epsilon(); }

}  // namespace

Image resize_area(const Image& image, int width_px, int height_px) {
  if (width_px > image.width_px || height_px > image.height_px) {
    return resize_linear_as_area(image, width_px, height_px);
  }
  const double scale_x = opencv_scale(image.width_px, width_px), scale_y = opencv_scale(image.height_px, height_px);
  if (is_whole(scale_x) && is_whole(scale_y)) {
    return (image.channels == 3 ? mean_of_blocks<3> : mean_of_blocks<4>)(image, width_px, height_px,
                                                                         static_cast<int>(std::nearbyint(scale_x)),
                                                                         static_cast<int>(std::nearbyint(scale_y)));
  }
  return (image.channels == 3 ? mean_of_areas<3> : mean_of_areas<4>)(image, width_px, height_px);
}

}  // namespace difftune
