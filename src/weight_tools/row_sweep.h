// Products with a matrix and with its transpose in one pass over it: for matrices that no cache holds.
#pragma once

#include <cstdint>

namespace difftune {

// For adjacent rows r_i of `columns` values: products[i] = r_i · x, then to += factor · products[i] · r_i.
// With factor 1 and another `to` it gives A x and adds A^T A x. With factor -1 and `to` = `x` it takes orthonormal rows
// out of x; four rows at a time, which see what those before them left of it.
void sweep_rows(const float* rows, int64_t count, int64_t columns, const float* x, float factor, float* products,
                float* to);

}  // namespace difftune
