#include "nn/matrix_product.h"

#include <ATen/Parallel.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>

#include <algorithm>
#include <ctime>
#include <span>
#include <type_traits>
#include <vector>

#include "nn/panel_product.h"
#include "nn/widen.h"

namespace difftune::nn {
namespace {

double processor_time_s() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double product_time_s(c10::ScalarType dtype) {
  const at::Tensor a = at::ones({256, 1024}, dtype), b = at::ones({1024, 1024}, dtype);
  double fastest = 1e30;
  for (int i = 0; i < 4; ++i) {
    const double begun = processor_time_s();
    at::mm(a, b);
    fastest = std::min(fastest, processor_time_s() - begun);
  }
  return fastest;
}

// Whether the processor has units that make bf16 worth its rounding. One thread and its own time, so that other work on
// the machine does not change the answer, and with it the bits of a run.
bool measure_bfloat16() {
  const int num_threads = at::get_num_threads();
  at::set_num_threads(1);
  const bool is_fast = product_time_s(at::kBFloat16) < 0.8 * product_time_s(at::kFloat);
  at::set_num_threads(num_threads);
  return is_fast;
}

bool bfloat16_is_fast() {
  static const bool is_fast = measure_bfloat16();
  return is_fast;
}

// Whether panels can serve: fp32 values, or bf16 ones with a weight that is exact in bf16, and a weight that can be
// read where it is.
bool uses_panels(const at::Tensor& x, const at::Tensor& weight) {
  if (!x.is_cpu() || !PanelSource::can_read(weight)) return false;
  if (x.scalar_type() == at::kFloat) return true;
  const bool is_exact = weight.scalar_type() == at::kBFloat16 || weight.scalar_type() == at::kFloat8_e4m3fn;
  return x.scalar_type() == at::kBFloat16 && is_exact && x.size(1) % 2 == 0;
}

at::Tensor with_adjacent_values(const at::Tensor& x) { return x.stride(1) == 1 ? x : x.contiguous(); }

template <typename Value>
RowsOf<const Value> rows_of(const at::Tensor& x) {
  return {x.const_data_ptr<Value>(), x.stride(0)};
}
template <typename Value>
RowsOf<Value> mutable_rows_of(at::Tensor& x) {
  return {x.mutable_data_ptr<Value>(), x.stride(0)};
}

// An odd rank with a column of zeros, for pairs of rows.
LowRankTerm with_even_rank(const LowRankTerm& term) {
  if (term.rows.size(1) % 2 == 0) return term;
  return {at::constant_pad_nd(term.rows, {0, 1}), at::constant_pad_nd(term.matrix, {0, 0, 0, 1})};
}

// sum (+)= x · B (+ low rank), B [K, N]; sum in the dtype of x, or in fp32.
template <typename Value>
void multiply_values(at::Tensor& sum, const at::Tensor& x, const PanelSource& b, Start start, const float* bias,
                     const LowRankTerm* low_rank) {
  const at::Tensor values = with_adjacent_values(x);
  std::vector<Term<Value>> terms = {{rows_of<Value>(values), b, x.size(1)}};
  LowRankTerm change;
  if (low_rank != nullptr) {
    change = x.scalar_type() == at::kBFloat16 ? with_even_rank(*low_rank) : *low_rank;
    change.rows = with_adjacent_values(change.rows);
    terms.push_back({rows_of<Value>(change.rows), PanelSource::of(change.matrix), change.rows.size(1)});
  }
  const std::span<const Term<Value>> all = terms;
  if (sum.scalar_type() == at::kFloat) {
    panel_product(all, mutable_rows_of<float>(sum), x.size(0), sum.size(1), start, bias);
  } else if constexpr (std::is_same_v<Value, c10::BFloat16>) {
    panel_product(all, mutable_rows_of<Value>(sum), x.size(0), sum.size(1), start, bias);
  }
}

void multiply(at::Tensor& sum, const at::Tensor& x, const PanelSource& b, Start start, const float* bias = nullptr,
              const LowRankTerm* low_rank = nullptr) {
  if (x.scalar_type() == at::kFloat) {
    multiply_values<float>(sum, x, b, start, bias, low_rank);
  } else {
    multiply_values<c10::BFloat16>(sum, x, b, start, bias, low_rank);
  }
}

// Values of the weight that are converted at a time where panels do not serve.
constexpr int64_t kTileElements = int64_t{1} << 22;

// Calls use(tile, first, count) for rows [first, first + count) of the weight in `dtype`: all of them where it is that.
template <typename Use>
void for_row_tiles(const at::Tensor& weight, c10::ScalarType dtype, const Use& use) {
  const int64_t num_rows = weight.size(0), num_columns = weight.size(1);
  if (weight.scalar_type() == dtype) return use(weight, 0, num_rows);
  const int64_t rows_per_tile = std::clamp<int64_t>(kTileElements / num_columns, 1, num_rows);
  at::Tensor scratch = at::empty({rows_per_tile, num_columns}, weight.options().dtype(dtype));
  for (int64_t first = 0; first < num_rows; first += rows_per_tile) {
    const int64_t count = std::min(rows_per_tile, num_rows - first);
    at::Tensor tile = scratch.narrow(0, 0, count);
    widen_rows(weight.narrow(0, first, count), tile);
    use(tile, first, count);
  }
}

}  // namespace

c10::ScalarType product_dtype(c10::Device device, c10::ScalarType dtype) {
  if (!device.is_cpu() || (dtype != at::kBFloat16 && dtype != at::kHalf)) return dtype;
  return dtype == at::kBFloat16 && bfloat16_is_fast() ? dtype : at::kFloat;
}

at::Tensor times_transposed(const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                            const LowRankTerm* low_rank) {
  const auto dtype = product_dtype(x.device(), x.scalar_type());
  const at::Tensor values = x.to(dtype);
  at::Tensor y;
  if (uses_panels(values, weight)) {
    y = at::empty({x.size(0), weight.size(0)}, values.options());
    const at::Tensor start = bias ? bias->to(at::kFloat).contiguous() : at::Tensor();
    multiply(y, values, PanelSource::of_transposed(weight), bias ? Start::bias : Start::zero,
             bias ? start.const_data_ptr<float>() : nullptr, low_rank);
  } else {
    y = at::empty({x.size(0), weight.size(0)}, values.options());
    for_row_tiles(weight, dtype, [&](const at::Tensor& tile, int64_t first, int64_t count) {
      at::Tensor part = y.narrow(1, first, count);
      if (bias) {
        at::addmm_out(part, bias->narrow(0, first, count).to(dtype), values, tile.t());
      } else {
        at::mm_out(part, values, tile.t());
      }
    });
    if (low_rank != nullptr) y.addmm_(low_rank->rows, low_rank->matrix);
  }
  return y.to(x.scalar_type());
}

at::Tensor times_in_fp32(const at::Tensor& g, const at::Tensor& weight) {
  if (!uses_panels(g, weight)) return times(g, weight).to(at::kFloat);
  at::Tensor result = at::empty({g.size(0), weight.size(1)}, g.options().dtype(at::kFloat));
  multiply(result, g, PanelSource::of(weight), Start::zero);
  return result;
}

at::Tensor times(const at::Tensor& g, const at::Tensor& weight, const LowRankTerm* low_rank) {
  const auto dtype = product_dtype(g.device(), g.scalar_type());
  const at::Tensor values = g.to(dtype);
  at::Tensor result;
  if (uses_panels(values, weight)) {
    result = at::empty({g.size(0), weight.size(1)}, values.options());
    multiply(result, values, PanelSource::of(weight), Start::zero, nullptr, low_rank);
  } else {
    result = at::empty({g.size(0), weight.size(1)}, values.options());
    for_row_tiles(weight, dtype, [&](const at::Tensor& tile, int64_t first, int64_t count) {
      result.addmm_(values.narrow(1, first, count), tile, first == 0 ? 0 : 1);
    });
    if (low_rank != nullptr) result.addmm_(low_rank->rows, low_rank->matrix);
  }
  return result.to(g.scalar_type());
}

at::Tensor transposed_times(const at::Tensor& a, const at::Tensor& b) {
  if (b.is_cpu() && b.scalar_type() == at::kBFloat16 && uses_panels(a.t(), b)) {
    const at::Tensor left = a.t().contiguous();
    at::Tensor result = at::empty({left.size(0), b.size(1)}, left.options());
    multiply(result, left, PanelSource::of(b), Start::zero);
    return result;
  }
  if (!b.is_cpu() || b.scalar_type() != at::kFloat) return at::mm(a.t(), b);
  const at::Tensor left = a.t().contiguous(), right = with_adjacent_values(b);
  const int64_t rank = left.size(0), num_columns = b.size(1), width = panel_width(num_columns);
  at::Tensor result = at::empty({rank, num_columns}, b.options());
  float* to = result.mutable_data_ptr<float>();
  // The right operand is read once and in order: it needs no panel.
  at::parallel_for(0, (num_columns + width - 1) / width, 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin * width; n < std::min(end * width, num_columns); n += width) {
      multiply_panel(rows_of<float>(left), {right.const_data_ptr<float>() + n, right.stride(0)}, {to + n, num_columns},
                     rank, b.size(0), std::min(width, num_columns - n), /*accumulates=*/false);
    }
    end_multiplying();
  });
  return result;
}

void add_times_transposed(at::Tensor& sum, const at::Tensor& x, const at::Tensor& weight) {
  if (uses_panels(x, weight)) {
    multiply(sum, x, PanelSource::of_transposed(weight), Start::sum);
  } else {
    sum.add_(times_transposed(x, weight, std::nullopt));
  }
}

void add_times(at::Tensor& sum, const at::Tensor& g, const at::Tensor& weight) {
  if (uses_panels(g, weight)) {
    multiply(sum, g, PanelSource::of(weight), Start::sum);
  } else {
    sum.add_(times(g, weight));
  }
}

}  // namespace difftune::nn
