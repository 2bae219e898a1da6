#include "nn/panel.h"

#include <algorithm>

#include "base/error.h"
#include "nn/lanes_avx512.h"
#include "nn/widen.h"

namespace difftune::nn {
namespace {

constexpr int64_t kBlock = 16;

const char* element(const PanelSource& from, int64_t k, int64_t n) {
  const int64_t offset = k * from.k_stride + n * from.n_stride;
  return static_cast<const char*>(from.data) + offset * static_cast<int64_t>(c10::elementSize(from.dtype));
}

// to[k * to_stride + n] = row n at k, for up to 16 rows of up to 16 values that lie `stride` elements apart.
void transpose_plain(const PanelSource& from, int64_t k, int64_t num_k, int64_t n, int64_t num_n, float* to,
                     int64_t to_stride) {
  float row[kBlock];
  for (int64_t j = 0; j < num_n; ++j) {
    widen_row(from.dtype, element(from, k, n + j), row, num_k);
    for (int64_t i = 0; i < num_k; ++i) to[i * to_stride + j] = row[i];
  }
}

#if defined(__x86_64__)

constexpr int64_t kBytesAhead = 256;

// The transpose of a 16x16 block, in registers: pairs, quadruples, then the four 128-bit lanes.
DT_AVX512 void transpose_avx512(const PanelSource& from, int64_t k, int64_t n, float* to, int64_t to_stride) {
  __m512 a[16], b[16];
  for (int i = 0; i < 16; ++i) {
    const char* row = element(from, k, n + i);
    _mm_prefetch(row + kBytesAhead, _MM_HINT_T0);
    a[i] = load_lanes(row, from.dtype);
  }
  for (int i = 0; i < 16; i += 2) {
    b[i] = _mm512_unpacklo_ps(a[i], a[i + 1]);
    b[i + 1] = _mm512_unpackhi_ps(a[i], a[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    for (int h = 0; h < 2; ++h) {
      const __m512d x = _mm512_castps_pd(b[i + h]), y = _mm512_castps_pd(b[i + h + 2]);
      a[i + 2 * h] = _mm512_castpd_ps(_mm512_unpacklo_pd(x, y));
      a[i + 2 * h + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(x, y));
    }
  }
  // a[4 q + c] now holds, in lane l, column 4 l + c of rows 4 q … 4 q + 3.
  for (int c = 0; c < 4; ++c) {
    const __m512 low_0 = _mm512_shuffle_f32x4(a[c], a[4 + c], 0x88), low_1 = _mm512_shuffle_f32x4(a[c], a[4 + c], 0xdd);
    const __m512 high_0 = _mm512_shuffle_f32x4(a[8 + c], a[12 + c], 0x88);
    const __m512 high_1 = _mm512_shuffle_f32x4(a[8 + c], a[12 + c], 0xdd);
    _mm512_storeu_ps(to + c * to_stride, _mm512_shuffle_f32x4(low_0, high_0, 0x88));
    _mm512_storeu_ps(to + (4 + c) * to_stride, _mm512_shuffle_f32x4(low_1, high_1, 0x88));
    _mm512_storeu_ps(to + (8 + c) * to_stride, _mm512_shuffle_f32x4(low_0, high_0, 0xdd));
    _mm512_storeu_ps(to + (12 + c) * to_stride, _mm512_shuffle_f32x4(low_1, high_1, 0xdd));
  }
}

// Panels cut through the rows of a weight: the processor does not see by itself what comes next.
constexpr int64_t kRowsAhead = 24;

inline void prefetch_row(const char* row, int64_t num_bytes) {
  for (int64_t i = 0; i < num_bytes; i += 64) _mm_prefetch(row + i, _MM_HINT_T0);
}

// Rows of values by sixteens.
DT_AVX512 void widen_rows_avx512(const PanelSource& from, int64_t first_k, int64_t num_k, int64_t first_n,
                                 int64_t num_n, float* to) {
  const auto element_bytes = static_cast<int64_t>(c10::elementSize(from.dtype));
  for (int64_t k = 0; k < num_k; ++k) {
    const char* row = element(from, first_k + k, first_n);
    prefetch_row(row + kRowsAhead * from.k_stride * element_bytes, num_n * element_bytes);
    const int64_t bytes_per_lanes = kBlock * element_bytes;
    for (int64_t n = 0; n < num_n; n += kBlock, row += bytes_per_lanes) {
      _mm512_storeu_ps(to + k * num_n + n, load_lanes(row, from.dtype));
    }
  }
}

bool has_avx512() { return __builtin_cpu_supports("avx512f") != 0; }

#else

void transpose_avx512(const PanelSource&, int64_t, int64_t, float*, int64_t) {}
void widen_rows_avx512(const PanelSource&, int64_t, int64_t, int64_t, int64_t, float*) {}
bool has_avx512() { return false; }

#endif

}  // namespace

bool PanelSource::can_read(const at::Tensor& weight) {
  const auto type = weight.scalar_type();
  return weight.is_cpu() && weight.dim() == 2 &&
         (type == at::kFloat || type == at::kHalf || type == at::kBFloat16 || type == at::kFloat8_e4m3fn) &&
         (weight.stride(1) == 1 || weight.stride(0) == 1);
}

PanelSource PanelSource::of(const at::Tensor& weight) {
  DT_CHECK(can_read(weight), "a weight matrix with adjacent rows or columns");
  return {weight.const_data_ptr(), weight.scalar_type(), weight.stride(0), weight.stride(1)};
}

PanelSource PanelSource::of_transposed(const at::Tensor& weight) {
  const PanelSource upright = of(weight);
  return {upright.data, upright.dtype, upright.n_stride, upright.k_stride};
}

void pack_panel(const PanelSource& from, int64_t first_k, int64_t num_k, int64_t first_n, int64_t num_n, float* to) {
  const bool in_registers = has_avx512();
  if (from.n_stride == 1) {
    if (in_registers && num_n % kBlock == 0) return widen_rows_avx512(from, first_k, num_k, first_n, num_n, to);
    for (int64_t k = 0; k < num_k; ++k) {
      widen_row(from.dtype, element(from, first_k + k, first_n), to + k * num_n, num_n);
    }
    return;
  }
  for (int64_t n = 0; n < num_n; n += kBlock) {
    for (int64_t k = 0; k < num_k; k += kBlock) {
      const int64_t rows = std::min(kBlock, num_k - k), columns = std::min(kBlock, num_n - n);
      float* block = to + k * num_n + n;
      if (in_registers && rows == kBlock && columns == kBlock) {
        transpose_avx512(from, first_k + k, first_n + n, block, num_n);
      } else {
        transpose_plain(from, first_k + k, rows, first_n + n, columns, block, num_n);
      }
    }
  }
}

}  // namespace difftune::nn
