#include "nn/matrix_product.h"

#include <ATen/Parallel.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <ctime>

#include "nn/widen.h"

namespace difftune::nn {
namespace {

// Values of the weight that are converted at a time: 4 MiB of fp32.
constexpr int64_t kTileElements = int64_t{1} << 20;

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

// Calls use(tile, first, count) for rows [first, first + count) of the weight in `dtype`.
template <typename Use>
void for_row_tiles(const at::Tensor& weight, c10::ScalarType dtype, const Use& use) {
  const int64_t num_rows = weight.size(0), num_columns = weight.size(1);
  const int64_t rows_per_tile = std::clamp<int64_t>(kTileElements / num_columns, 1, num_rows);
  at::Tensor scratch = at::empty({rows_per_tile, num_columns}, weight.options().dtype(dtype));
  for (int64_t first = 0; first < num_rows; first += rows_per_tile) {
    const int64_t count = std::min(rows_per_tile, num_rows - first);
    at::Tensor tile = scratch.narrow(0, 0, count);
    widen_rows(weight.narrow(0, first, count), tile);
    use(tile, first, count);
  }
}

// result = beta result + x Wᵀ, in the dtype of x.
void accumulate_transposed(at::Tensor& result, const at::Tensor& x, const at::Tensor& weight, double beta) {
  if (weight.scalar_type() == x.scalar_type()) {
    result.addmm_(x, weight.t(), beta);
    return;
  }
  for_row_tiles(weight, x.scalar_type(), [&](const at::Tensor& tile, int64_t first, int64_t count) {
    at::Tensor part = result.narrow(1, first, count);
    part.addmm_(x, tile.t(), beta);
  });
}

}  // namespace

c10::ScalarType product_dtype(c10::Device device, c10::ScalarType dtype) {
  if (!device.is_cpu() || (dtype != at::kBFloat16 && dtype != at::kHalf)) return dtype;
  return dtype == at::kBFloat16 && bfloat16_is_fast() ? dtype : at::kFloat;
}

at::Tensor times_transposed(const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>& bias) {
  const auto dtype = product_dtype(x.device(), x.scalar_type());
  if (dtype == weight.scalar_type() && dtype == x.scalar_type()) {
    return bias ? at::addmm(*bias, x, weight.t()) : at::mm(x, weight.t());
  }
  at::Tensor y = at::empty({x.size(0), weight.size(0)}, x.options().dtype(dtype));
  if (bias) y.copy_(*bias);
  accumulate_transposed(y, x.to(dtype), weight, bias ? 1 : 0);
  return y.to(x.scalar_type());
}

at::Tensor times(const at::Tensor& g, const at::Tensor& weight) {
  const auto dtype = product_dtype(g.device(), g.scalar_type());
  if (dtype == weight.scalar_type() && dtype == g.scalar_type()) return at::mm(g, weight);
  at::Tensor sum = at::zeros({g.size(0), weight.size(1)}, g.options().dtype(dtype));
  add_times(sum, g.to(dtype), weight);
  return sum.to(g.scalar_type());
}

void add_times_transposed(at::Tensor& sum, const at::Tensor& x, const at::Tensor& weight) {
  accumulate_transposed(sum, x, weight, 1);
}

void add_times(at::Tensor& sum, const at::Tensor& g, const at::Tensor& weight) {
  if (weight.scalar_type() == g.scalar_type()) {
    sum.addmm_(g, weight);
    return;
  }
  for_row_tiles(weight, g.scalar_type(), [&](const at::Tensor& tile, int64_t first, int64_t count) {
    sum.addmm_(g.narrow(1, first, count), tile);
  });
}

}  // namespace difftune::nn
