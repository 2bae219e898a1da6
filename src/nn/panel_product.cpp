#include "nn/panel_product.h"

#include <ATen/Parallel.h>
#include <ATen/native/CPUBlas.h>
#include <ATen/ops/empty.h>
#include <c10/core/ScalarType.h>

#include <algorithm>
#include <cstring>

#include "nn/widen.h"

namespace difftune::nn {
namespace {

// A panel of 512 x 64 values is 128 KiB: it stays in the second-level cache beside the rows that meet it.
constexpr int64_t kPanelK = 512, kRowBlock = 128;  // even
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

void multiply_panel(RowsOf<const c10::BFloat16> a, RowsOf<const c10::BFloat16> b, Rows c, int64_t num_rows,
                    int64_t num_k, int64_t num_columns, bool accumulates) {
  at::native::cpublas::brgemm(num_rows, num_columns, num_k, a.stride, b.stride, c.stride, accumulates, a.data, b.data,
                              c.data, /*is_vnni=*/true);
}

void end_multiplying() { at::native::cpublas::brgemm_release(/*is_vnni=*/false); }
void end_multiplying_pairs() { at::native::cpublas::brgemm_release(/*is_vnni=*/true); }

namespace {

void end_blocks(const float*) { end_multiplying(); }
void end_blocks(const c10::BFloat16*) { end_multiplying_pairs(); }

// Columns [first_n, first_n + count) of Σ terms + start into c, whose data is that of the first of these columns.
template <typename Value>
void multiply_terms(std::span<const Term<Value>> terms, Rows c, int64_t num_rows, int64_t first_n, int64_t count,
                    Start start, const float* bias, Value* panel) {
  if (start == Start::bias) {
    for (int64_t row = 0; row < num_rows; ++row) {
      std::memcpy(c.data + row * c.stride, bias + first_n, static_cast<size_t>(count) * sizeof(float));
    }
  }
  bool accumulates = start != Start::zero;
  for (const auto& [a, b, num_k] : terms) {
    for (int64_t k = 0; k < num_k; k += kPanelK) {
      const int64_t count_k = std::min(kPanelK, num_k - k);
      pack_panel(b, k, count_k, first_n, count, panel);
      for (int64_t row = 0; row < num_rows; row += kRowBlock) {
        multiply_panel(RowsOf<const Value>{a.data + row * a.stride + k, a.stride}, RowsOf<const Value>{panel, count},
                       {c.data + row * c.stride, c.stride}, std::min(kRowBlock, num_rows - row), count_k, count,
                       accumulates);
      }
      accumulates = true;
    }
  }
}

// Calls use(first_n, count, panel) for all panels, on all threads; `panel` has room for one.
template <typename Value, typename Use>
void for_panels(int64_t num_columns, const Use& use) {
  const int64_t width = panel_width(num_columns), num_panels = (num_columns + width - 1) / width;
  at::parallel_for(0, num_panels, 1, [&](int64_t begin, int64_t end) {
    const at::Tensor scratch = at::empty({kPanelK * width}, c10::CppTypeToScalarType<Value>::value);
    auto* panel = scratch.mutable_data_ptr<Value>();
    for (int64_t first_n = begin * width; first_n < std::min(end * width, num_columns); first_n += width) {
      use(first_n, std::min(width, num_columns - first_n), panel);
    }
    end_blocks(panel);
  });
}

template <typename Value>
void product(std::span<const Term<Value>> terms, Rows c, int64_t num_rows, int64_t num_columns, Start start,
             const float* bias) {
  for_panels<Value>(num_columns, [&](int64_t first_n, int64_t count, Value* panel) {
    multiply_terms(terms, {c.data + first_n, c.stride}, num_rows, first_n, count, start, bias, panel);
  });
}

}  // namespace

void panel_product(std::span<const Term<float>> terms, Rows c, int64_t num_rows, int64_t num_columns, Start start,
                   const float* bias) {
  product(terms, c, num_rows, num_columns, start, bias);
}

void panel_product(std::span<const Term<c10::BFloat16>> terms, Rows c, int64_t num_rows, int64_t num_columns,
                   Start start, const float* bias) {
  product(terms, c, num_rows, num_columns, start, bias);
}

void panel_product(std::span<const Term<c10::BFloat16>> terms, RowsOf<c10::BFloat16> c, int64_t num_rows,
                   int64_t num_columns, Start start, const float* bias) {
  for_panels<c10::BFloat16>(num_columns, [&](int64_t first_n, int64_t count, c10::BFloat16* panel) {
    const at::Tensor scratch = at::empty({num_rows * count}, at::kFloat);
    float* sums = scratch.mutable_data_ptr<float>();
    multiply_terms(terms, {sums, count}, num_rows, first_n, count, start, bias, panel);
    for (int64_t row = 0; row < num_rows; ++row) {
      narrow_row(sums + row * count, c.data + row * c.stride + first_n, count);
    }
  });
}

}  // namespace difftune::nn
