// Products of fp32 matrices with a weight in any precision, panel by panel (see nn/panel.h), on oneDNN's small kernels.
//
// The thread that multiplies with a panel has made it: the weight is read once, half precision becomes fp32 on the way
// into the cache, and no whole-matrix packing as in a BLAS library is needed. CPU only.
#pragma once

#include <cstdint>
#include <span>

#include "nn/panel.h"

namespace difftune::nn {

// Rows of values, `stride` apart.
template <typename Value>
struct RowsOf {
  Value* data = nullptr;
  int64_t stride = 0;
};
using Rows = RowsOf<float>;
using ConstRows = RowsOf<const float>;

// c [M, n] (+)= a [M, K] · b [K, n] for a ready panel b with `stride` between rows; on the calling thread.
void multiply_panel(ConstRows a, ConstRows b, Rows c, int64_t num_rows, int64_t num_k, int64_t num_columns,
                    bool accumulates);

// The same in bf16, for a panel with rows in pairs (see pack_panel) and an even num_k.
void multiply_panel(RowsOf<const c10::BFloat16> a, RowsOf<const c10::BFloat16> b, Rows c, int64_t num_rows,
                    int64_t num_k, int64_t num_columns, bool accumulates);

// Hand the processor's matrix unit back; call at the end of a task that multiplied in fp32, or in bf16.
void end_multiplying();
void end_multiplying_pairs();

// a [M, K] · B, a summand of a product. For bf16 values K is even and B is in bf16 or float8.
template <typename Value>
struct Term {
  RowsOf<const Value> a;
  PanelSource b;
  int64_t num_k = 0;
};

enum class Start { zero, bias, sum };

// c [M, N] = Σ terms + start, on all threads; `start` is zero, a row of N values, or what c holds. Sums are fp32.
void panel_product(std::span<const Term<float>> terms, Rows c, int64_t num_rows, int64_t num_columns, Start start,
                   const float* bias = nullptr);
void panel_product(std::span<const Term<c10::BFloat16>> terms, Rows c, int64_t num_rows, int64_t num_columns,
                   Start start, const float* bias = nullptr);

// The same for bf16 values, with the sums rounded to bf16 at the end; `start` is zero or the bias.
void panel_product(std::span<const Term<c10::BFloat16>> terms, RowsOf<c10::BFloat16> c, int64_t num_rows,
                   int64_t num_columns, Start start, const float* bias = nullptr);

// Columns in a panel of `num_columns`, so that the panels spread evenly over the threads.
int64_t panel_width(int64_t num_columns);

}  // namespace difftune::nn
