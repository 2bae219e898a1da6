#include "nn/panel_product.h"

#include <ATen/Parallel.h>
#include <ATen/native/CPUBlas.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstring>

namespace difftune::nn {
namespace {

// A panel of 512 x 64 values is 128 KiB: it stays in the second-level cache beside the rows that meet it.
constexpr int64_t kPanelK = 512, kRowBlock = 128;
constexpr int64_t kWidePanel = 64, kNarrowPanel = 32;

}  // namespace

int64_t panel_width(int64_t num_columns) {
  const int64_t num_threads = at::get_num_threads();
  const int64_t num_wide = (num_columns + kWidePanel - 1) / kWidePanel;
  // Few wide panels would leave threads without work at the end.
  return num_wide % num_threads == 0 || num_wide >= 8 * num_threads ? kWidePanel : kNarrowPanel;
}

void multiply_panel(ConstRows a, ConstRows b, Rows c, int64_t num_rows, int64_t num_k, int64_t num_columns,
                    bool accumulates) {
  at::native::cpublas::brgemm(num_rows, num_columns, num_k, a.stride, b.stride, c.stride, accumulates, a.data, b.data,
                              c.data, /*is_vnni=*/false);
}

void end_multiplying() { at::native::cpublas::brgemm_release(/*is_vnni=*/false); }

void panel_product(std::span<const Term> terms, Rows c, int64_t num_rows, int64_t num_columns, Start start,
                   const float* bias) {
  const int64_t width = panel_width(num_columns), num_panels = (num_columns + width - 1) / width;
  at::parallel_for(0, num_panels, 1, [&](int64_t begin, int64_t end) {
    const at::Tensor scratch = at::empty({kPanelK * width}, at::kFloat);
    float* panel = scratch.mutable_data_ptr<float>();
    for (int64_t first_n = begin * width; first_n < std::min(end * width, num_columns); first_n += width) {
      const int64_t count = std::min(width, num_columns - first_n);
      if (start == Start::bias) {
        for (int64_t row = 0; row < num_rows; ++row) {
          std::memcpy(c.data + row * c.stride + first_n, bias + first_n, static_cast<size_t>(count) * sizeof(float));
        }
      }
      bool accumulates = start != Start::zero;
      for (const auto& [a, b, num_k] : terms) {
        for (int64_t k = 0; k < num_k; k += kPanelK) {
          const int64_t count_k = std::min(kPanelK, num_k - k);
          pack_panel(b, k, count_k, first_n, count, panel);
          for (int64_t row = 0; row < num_rows; row += kRowBlock) {
            multiply_panel({a.data + row * a.stride + k, a.stride}, {panel, count},
                           {c.data + row * c.stride + first_n, c.stride}, std::min(kRowBlock, num_rows - row), count_k,
                           count, accumulates);
          }
          accumulates = true;
        }
      }
    }
    end_multiplying();
  });
}

}  // namespace difftune::nn
