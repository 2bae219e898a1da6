#include "weight_tools/row_sweep.h"

#include <algorithm>

#include "nn/lanes.h"

namespace difftune {
namespace {

using nn::kLanes;
using nn::Lanes;

constexpr int64_t kRows = 4;

float sum(const Lanes& lanes) {
  float result = 0;
  for (int i = 0; i < kLanes; ++i) result += lanes[i];
  return result;
}

// The same for kRows rows; fewer are given as rows that repeat, with products of which some are not used.
DT_FOR_EACH_VECTOR_WIDTH void products_of(const float* const* rows, int64_t columns, const float* x, float* products) {
  Lanes even[kRows] = {}, odd[kRows] = {};
  int64_t c = 0;
  for (; c + 2 * kLanes <= columns; c += 2 * kLanes) {
    const Lanes x0 = DT_CONST_LANES(x + c), x1 = DT_CONST_LANES(x + c + kLanes);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      even[r] += DT_CONST_LANES(rows[r] + c) * x0;
      odd[r] += DT_CONST_LANES(rows[r] + c + kLanes) * x1;
    }
  }
  for (int r = 0; r < kRows; ++r) {
    products[r] = sum(even[r] + odd[r]);
    for (int64_t rest = c; rest < columns; ++rest) products[r] += rows[r][rest] * x[rest];
  }
}

DT_FOR_EACH_VECTOR_WIDTH void add_rows(const float* const* rows, int64_t columns, const float* factors, float* to) {
  int64_t c = 0;
  for (; c + kLanes <= columns; c += kLanes) {
    Lanes sum = DT_CONST_LANES(to + c);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) sum += factors[r] * DT_CONST_LANES(rows[r] + c);
    DT_LANES(to + c) = sum;
  }
  for (; c < columns; ++c) {
    for (int r = 0; r < kRows; ++r) to[c] += factors[r] * rows[r][c];
  }
}

}  // namespace

void sweep_rows(const float* rows, int64_t count, int64_t columns, const float* x, float factor, float* products,
                float* to) {
  for (int64_t first = 0; first < count; first += kRows) {
    const float* block[kRows];
    float found[kRows], factors[kRows] = {};
    for (int64_t r = 0; r < kRows; ++r) block[r] = rows + std::min(first + r, count - 1) * columns;
    products_of(block, columns, x, found);
    for (int64_t r = 0; r < std::min(kRows, count - first); ++r) {
      products[first + r] = found[r];
      factors[r] = factor * found[r];
    }
    add_rows(block, columns, factors, to);
  }
}

}  // namespace difftune
