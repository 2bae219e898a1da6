#include "nn/tap_convolution.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <cstddef>
#include <cstring>

#include "nn/matrix_product.h"
#include "nn/pixel_rows.h"

namespace difftune::nn {
namespace {

// The output pixels that one tap reads, and where: pixel (y, x) reads (y stride + dy, x stride + dx) of the input.
struct Tap {
  int64_t batch, in_height, in_width, out_height, out_width, stride, dy, dx;

  int64_t num_rows() const { return batch * out_height * out_width; }
  // Reads its own pixel everywhere.
  bool is_identity() const {
    return dy == 0 && dx == 0 && stride == 1 && in_height == out_height && in_width == out_width;
  }
  // The row of the input that output row `row` reads, or -1 for the padding.
  int64_t source_row(int64_t row) const {
    const int64_t x = row % out_width, y = row / out_width % out_height, b = row / (out_width * out_height);
    const int64_t from_y = y * stride + dy, from_x = x * stride + dx;
    if (from_y < 0 || from_y >= in_height || from_x < 0 || from_x >= in_width) return -1;
    return (b * in_height + from_y) * in_width + from_x;
  }
};

constexpr int64_t kRowsPerTask = 16;

// to[row] = from[source_row(row)], or zeros.
void gather_rows(const Tap& tap, const at::Tensor& from, at::Tensor& to) {
  const auto row_bytes = static_cast<size_t>(from.size(1)) * from.element_size();
  const auto* source = static_cast<const std::byte*>(from.const_data_ptr());
  auto* target = static_cast<std::byte*>(to.mutable_data_ptr());
  at::parallel_for(0, tap.num_rows(), kRowsPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t source_row = tap.source_row(row);
      std::byte* place = target + static_cast<size_t>(row) * row_bytes;
      if (source_row < 0) {
        std::memset(place, 0, row_bytes);
      } else {
        std::memcpy(place, source + static_cast<size_t>(source_row) * row_bytes, row_bytes);
      }
    }
  });
}

// to[source_row(row)] += from[row]. No two rows of a tap have the same source, so tasks do not meet.
void scatter_add_rows(const Tap& tap, const at::Tensor& from, at::Tensor& to) {
  const int64_t width = from.size(1);
  const float* source = from.const_data_ptr<float>();
  float* target = to.mutable_data_ptr<float>();
  at::parallel_for(0, tap.num_rows(), kRowsPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t target_row = tap.source_row(row);
      if (target_row < 0) continue;
      const float* __restrict in = source + row * width;
      float* __restrict out = target + target_row * width;
      for (int64_t i = 0; i < width; ++i) out[i] += in[i];
    }
  });
}

// Calls use(tap, matrix) with the [out, in] matrix of each tap, the identity first: it starts the sum.
template <typename Use>
void for_taps(const at::Tensor& weight, Tap tap, int64_t padding, const Use& use) {
  const int64_t kernel = weight.size(2);
  for (const bool identity : {true, false}) {
    for (int64_t ky = 0; ky < kernel; ++ky) {
      for (int64_t kx = 0; kx < kernel; ++kx) {
        tap.dy = ky - padding;
        tap.dx = kx - padding;
        if (tap.is_identity() == identity) use(tap, weight.select(3, kx).select(2, ky));
      }
    }
  }
}

}  // namespace

at::Tensor tap_convolution(const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                           ConvolutionShape shape) {
  const auto out_side = [&](int64_t side) { return (side + 2 * shape.padding - weight.size(2)) / shape.stride + 1; };
  const Tap whole{x.size(0), x.size(2), x.size(3), out_side(x.size(2)), out_side(x.size(3)), shape.stride, 0, 0};
  const at::Tensor rows = pixel_rows(x, product_dtype(x.device(), x.scalar_type()));
  at::Tensor sum = at::empty({whole.num_rows(), weight.size(0)}, rows.options().dtype(at::kFloat));
  if (bias) {
    sum.copy_(*bias);
  } else {
    sum.zero_();
  }
  at::Tensor gathered;
  for_taps(weight, whole, shape.padding, [&](const Tap& tap, const at::Tensor& matrix) {
    if (tap.is_identity()) return add_times_transposed(sum, rows, matrix);
    if (!gathered.defined()) gathered = at::empty({tap.num_rows(), rows.size(1)}, rows.options());
    gather_rows(tap, rows, gathered);
    add_times_transposed(sum, gathered, matrix);
  });
  return image_of(sum, whole.batch, whole.out_height, whole.out_width, x.scalar_type());
}

at::Tensor tap_convolution_backward(const at::Tensor& grad, const at::Tensor& weight, at::IntArrayRef input_sizes,
                                    ConvolutionShape shape) {
  const Tap whole{input_sizes[0], input_sizes[2], input_sizes[3], grad.size(2), grad.size(3), shape.stride, 0, 0};
  const at::Tensor rows = pixel_rows(grad, product_dtype(grad.device(), grad.scalar_type()));
  at::Tensor sum =
      at::zeros({whole.batch * whole.in_height * whole.in_width, weight.size(1)}, rows.options().dtype(at::kFloat));
  for_taps(weight, whole, shape.padding, [&](const Tap& tap, const at::Tensor& matrix) {
    if (tap.is_identity()) return add_times(sum, rows, matrix);
    scatter_add_rows(tap, times_in_fp32(rows, matrix), sum);
  });
  return image_of(sum, whole.batch, whole.in_height, whole.in_width, grad.scalar_type());
}

}  // namespace difftune::nn
