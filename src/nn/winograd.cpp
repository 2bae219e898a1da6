#include "nn/winograd.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <array>
#include <vector>

#include "nn/lanes.h"
#include "nn/panel_product.h"
#include "nn/pixel_rows.h"

namespace difftune::nn {
namespace {

constexpr int64_t kNumPoints = 16;  // a tile of 4x4 transformed values
// Bytes of transformed pixels held at a time, so that they stay in the cache between transform and product.
constexpr int64_t kInputBytes = int64_t{8} << 20;
// Rows of a transformed panel: 16 points of 128 × 64 values are 512 KiB, for the second-level cache.
constexpr int64_t kPanelK = 128;
constexpr int64_t kFewestTiles = 16;

// V = Bᵀ d B of one tile. rows[4 y + x]: the channels of a pixel.
DT_FOR_EACH_VECTOR_WIDTH void transform_input(const float* const* rows, float* to, int64_t point_stride,
                                              int64_t channels) {
  for (int64_t c = 0; c < channels; c += kLanes) {
    Lanes t[4][4];
#pragma GCC unroll 4
    for (int x = 0; x < 4; ++x) {
      const Lanes d0 = DT_CONST_LANES(rows[x] + c), d1 = DT_CONST_LANES(rows[4 + x] + c);
      const Lanes d2 = DT_CONST_LANES(rows[8 + x] + c), d3 = DT_CONST_LANES(rows[12 + x] + c);
      t[0][x] = d0 - d2;
      t[1][x] = d1 + d2;
      t[2][x] = d2 - d1;
      t[3][x] = d1 - d3;
    }
#pragma GCC unroll 4
    for (int y = 0; y < 4; ++y) {
      float* out = to + 4 * y * point_stride + c;
      DT_LANES(out) = t[y][0] - t[y][2];
      DT_LANES(out + point_stride) = t[y][1] + t[y][2];
      DT_LANES(out + 2 * point_stride) = t[y][2] - t[y][1];
      DT_LANES(out + 3 * point_stride) = t[y][1] - t[y][3];
    }
  }
}

// Y = Aᵀ m A of one tile, plus the bias. to[2 y + x]: the channels of a pixel.
DT_FOR_EACH_VECTOR_WIDTH void transform_output(const float* from, int64_t point_stride, const float* bias,
                                               float* const* to, int64_t channels) {
  for (int64_t c = 0; c < channels; c += kLanes) {
    Lanes t[2][4];
#pragma GCC unroll 4
    for (int x = 0; x < 4; ++x) {
      const float* m = from + x * point_stride + c;
      const Lanes m0 = DT_CONST_LANES(m), m1 = DT_CONST_LANES(m + 4 * point_stride);
      const Lanes m2 = DT_CONST_LANES(m + 8 * point_stride), m3 = DT_CONST_LANES(m + 12 * point_stride);
      t[0][x] = m0 + m1 + m2;
      t[1][x] = m1 - m2 - m3;
    }
    const Lanes b = DT_CONST_LANES(bias + c);
#pragma GCC unroll 2
    for (int y = 0; y < 2; ++y) {
      DT_LANES(to[2 * y] + c) = t[y][0] + t[y][1] + t[y][2] + b;
      DT_LANES(to[2 * y + 1] + c) = t[y][1] - t[y][2] - t[y][3] + b;
    }
  }
}

// U = G g Gᵀ for `count` pairs of channels. Tap (y, x) of g is at g + (3 y + x) * count; point (y, x) goes to
// to + (4 order[y] + order[x]) * point_stride.
DT_FOR_EACH_VECTOR_WIDTH void transform_weight(const float* g, const int64_t* order, float* to, int64_t point_stride,
                                               int64_t count) {
  const int64_t next[4] = {order[0] * point_stride, order[1] * point_stride, order[2] * point_stride,
                           order[3] * point_stride};
  for (int64_t c = 0; c < count; c += kLanes) {
    Lanes t[4][3];
#pragma GCC unroll 3
    for (int x = 0; x < 3; ++x) {
      const Lanes g0 = DT_CONST_LANES(g + x * count + c), g1 = DT_CONST_LANES(g + (3 + x) * count + c);
      const Lanes g2 = DT_CONST_LANES(g + (6 + x) * count + c);
      t[0][x] = g0;
      t[1][x] = 0.5f * (g0 + g1 + g2);
      t[2][x] = 0.5f * (g0 - g1 + g2);
      t[3][x] = g2;
    }
#pragma GCC unroll 4
    for (int y = 0; y < 4; ++y) {
      float* out = to + 4 * next[y] + c;
      DT_LANES(out + next[0]) = t[y][0];
      DT_LANES(out + next[1]) = 0.5f * (t[y][0] + t[y][1] + t[y][2]);
      DT_LANES(out + next[2]) = 0.5f * (t[y][0] - t[y][1] + t[y][2]);
      DT_LANES(out + next[3]) = t[y][2];
    }
  }
}

// The tiles of 2x2 pixels of a batch of images, in rows of tiles.
struct Tiling {
  Tiling(int64_t batch, int64_t height, int64_t width)
      : height(height), width(width), across((width + 1) / 2), down((height + 1) / 2), count(batch * across * down) {}

  // The row of pixel (dy, dx) of a tile in [B H W, C], counted from its top left pixel, or -1 outside the image.
  int64_t pixel_row(int64_t tile, int64_t dy, int64_t dx) const {
    const int64_t x = 2 * (tile % across) + dx, y = 2 * (tile / across % down) + dy, b = tile / (across * down);
    return x < 0 || x >= width || y < 0 || y >= height ? -1 : (b * height + y) * width + x;
  }

  int64_t height, width, across, down, count;
};

// Tiles [first, first + count) of the image, transformed: 16 points of [count][C].
void transform_inputs(const Tiling& tiling, const at::Tensor& rows, int64_t first, int64_t count, Rows points) {
  const int64_t channels = rows.size(1);
  const float* source = rows.const_data_ptr<float>();
  const std::vector<float> zeros(static_cast<size_t>(channels));
  at::parallel_for(0, count, 4, [&](int64_t begin, int64_t end) {
    std::array<const float*, 16> pixels{};
    for (int64_t tile = begin; tile < end; ++tile) {
      for (int64_t i = 0; i < 16; ++i) {
        const int64_t row = tiling.pixel_row(first + tile, i / 4 - 1, i % 4 - 1);
        pixels[static_cast<size_t>(i)] = row < 0 ? zeros.data() : source + row * channels;
      }
      transform_input(pixels.data(), points.data + tile * channels, points.stride, channels);
    }
  });
}

// products: 16 points of [count][channels] → channels [first_channel, first_channel + channels) of the tiles' pixels;
// on the calling thread.
void transform_outputs(const Tiling& tiling, ConstRows products, int64_t first, int64_t count, int64_t channels,
                       const float* bias, const at::Tensor& rows, int64_t first_channel) {
  const int64_t width = rows.size(1);
  float* target = rows.mutable_data_ptr<float>() + first_channel;
  std::vector<float> outside(static_cast<size_t>(channels));
  std::array<float*, 4> pixels{};
  for (int64_t tile = 0; tile < count; ++tile) {
    for (int64_t i = 0; i < 4; ++i) {
      const int64_t row = tiling.pixel_row(first + tile, i / 2, i % 2);
      pixels[static_cast<size_t>(i)] = row < 0 ? outside.data() : target + row * width;
    }
    transform_output(products.data + tile * channels, products.stride, bias, pixels.data(), channels);
  }
}

// Where the points of a kernel go: to their own places, or to those of the kernel turned by half a turn (which swaps
// the first and the last row and column of its transform).
constexpr int64_t kUpright[4] = {0, 1, 2, 3}, kTurned[4] = {3, 1, 2, 0};

// The nine taps of a kernel [out, in, 3, 3] as right operands: [in, out], or [out, in] for the gradient.
class Taps {
 public:
  Taps(const at::Tensor& weight, bool is_gradient) {
    for (int64_t i = 0; i < 9; ++i) {
      const at::Tensor matrix = weight.select(3, i % 3).select(2, i / 3);
      taps_[static_cast<size_t>(i)] = is_gradient ? PanelSource::of(matrix) : PanelSource::of_transposed(matrix);
    }
  }

  // The transformed panel of rows [first_k, first_k + num_k) and columns [first_n, first_n + num_n): point p at
  // to + p * point_stride. `scratch` holds 9 × kRows × num_n values.
  void transform(int64_t first_k, int64_t num_k, int64_t first_n, int64_t num_n, const int64_t* order, float* scratch,
                 float* to, int64_t point_stride) const {
    for (int64_t k = 0; k < num_k; k += kRows) {
      const int64_t rows = std::min(kRows, num_k - k);
      for (size_t i = 0; i < 9; ++i) {
        pack_panel(taps_[i], first_k + k, rows, first_n, num_n, scratch + static_cast<int64_t>(i) * rows * num_n);
      }
      transform_weight(scratch, order, to + k * num_n, point_stride, rows * num_n);
    }
  }

  static constexpr int64_t kRows = 32;

 private:
  std::array<PanelSource, 9> taps_;
};

// Values from one point of a transformed panel to the next: a multiple of 4 KiB apart they would share the same few
// places of the first-level cache.
int64_t spread(int64_t num_values) { return (num_values + 1023) / 1024 * 1024 + 64; }

// from: [B H W, num_k] pixels, convolved with the taps → [B H W, num_n] pixels.
at::Tensor convolve(const Tiling& tiling, const at::Tensor& from, const Taps& taps, const int64_t* order,
                    const float* bias, int64_t num_n) {
  const int64_t num_k = from.size(1);
  at::Tensor to = at::empty({from.size(0), num_n}, from.options());
  const std::vector<float> no_bias(bias == nullptr ? static_cast<size_t>(num_n) : 0);
  const float* start = bias == nullptr ? no_bias.data() : bias;
  const int64_t bytes_per_tile = kNumPoints * num_k * static_cast<int64_t>(sizeof(float));
  const int64_t most = std::clamp<int64_t>(kInputBytes / bytes_per_tile, kFewestTiles, tiling.count);
  const int64_t num_parts = (tiling.count + most - 1) / most,
                tiles_per_part = (tiling.count + num_parts - 1) / num_parts;
  const int64_t width = panel_width(num_n), num_panels = (num_n + width - 1) / width;
  const int64_t input_stride = spread(tiles_per_part * num_k);
  const at::Tensor inputs = at::empty({kNumPoints * input_stride}, from.options());
  for (int64_t first_tile = 0; first_tile < tiling.count; first_tile += tiles_per_part) {
    const int64_t num_tiles = std::min(tiles_per_part, tiling.count - first_tile);
    float* transformed = inputs.mutable_data_ptr<float>();
    transform_inputs(tiling, from, first_tile, num_tiles, {transformed, input_stride});
    at::parallel_for(0, num_panels, 1, [&](int64_t begin, int64_t end) {
      const int64_t point_stride = spread(kPanelK * width), product_stride = spread(num_tiles * width);
      const at::Tensor scratch = at::empty({9 * Taps::kRows * width}, from.options());
      const at::Tensor weights = at::empty({kNumPoints * point_stride}, from.options());
      const at::Tensor sums = at::empty({kNumPoints * product_stride}, from.options());
      float* panel = weights.mutable_data_ptr<float>();
      float* products = sums.mutable_data_ptr<float>();
      for (int64_t first_n = begin * width; first_n < std::min(end * width, num_n); first_n += width) {
        const int64_t count = std::min(width, num_n - first_n);
        for (int64_t k = 0; k < num_k; k += kPanelK) {
          const int64_t count_k = std::min(kPanelK, num_k - k);
          taps.transform(k, count_k, first_n, count, order, scratch.mutable_data_ptr<float>(), panel, point_stride);
          for (int64_t p = 0; p < kNumPoints; ++p) {
            multiply_panel({transformed + p * input_stride + k, num_k}, {panel + p * point_stride, count},
                           {products + p * product_stride, count}, num_tiles, count_k, count, k > 0);
          }
        }
        transform_outputs(tiling, {products, product_stride}, first_tile, num_tiles, count, start + first_n, to,
                          first_n);
      }
      end_multiplying();
    });
  }
  return to;
}

}  // namespace

bool winograd_pays(int64_t batch, int64_t height, int64_t width, int64_t in_channels, int64_t out_channels) {
  return Tiling(batch, height, width).count >= kFewestTiles && in_channels % kLanes == 0 && out_channels % kLanes == 0;
}

at::Tensor winograd_convolution(const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>& bias) {
  const at::Tensor wide_bias = bias ? bias->to(at::kFloat).contiguous() : at::Tensor();
  const at::Tensor rows = convolve(Tiling(x.size(0), x.size(2), x.size(3)), pixel_rows(x), Taps(weight, false),
                                   kUpright, bias ? wide_bias.const_data_ptr<float>() : nullptr, weight.size(0));
  return image_of(rows, x.size(0), x.size(2), x.size(3), x.scalar_type());
}

at::Tensor winograd_convolution_backward(const at::Tensor& grad, const at::Tensor& weight) {
  const at::Tensor rows = convolve(Tiling(grad.size(0), grad.size(2), grad.size(3)), pixel_rows(grad),
                                   Taps(weight, true), kTurned, nullptr, weight.size(1));
  return image_of(rows, grad.size(0), grad.size(2), grad.size(3), grad.scalar_type());
}

}  // namespace difftune::nn
