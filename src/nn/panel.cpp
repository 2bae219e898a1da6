#include "nn/panel.h"

#include <algorithm>
#include <cstring>

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
DT_AVX512 void transpose_avx512(const PanelSource& from, int64_t k, int64_t n, float* to, int64_t to_stride,
                                bool prefetches = true) {
  __m512 a[16], b[16];
  for (int i = 0; i < 16; ++i) {
    const char* row = element(from, k, n + i);
    if (prefetches) _mm_prefetch(row + kBytesAhead, _MM_HINT_T0);
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

// The upper halves of 16 values of fp32: bf16 where they are exact in it.
DT_AVX512 __m256i upper_halves(__m512 values) {
  return _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_castps_si512(values), 16));
}

// Up to 16 values, and zeros behind them.
DT_AVX512 __m512 load_some_lanes(const char* from, c10::ScalarType dtype, int64_t count) {
  if (count == kBlock) return load_lanes(from, dtype);
  alignas(64) char values[kBlock * sizeof(float)] = {};
  std::memcpy(values, from, static_cast<size_t>(count) * c10::elementSize(dtype));
  return load_lanes(values, dtype);
}

// Two rows of values side by side: n of the first, n of the second. A row without a second one is paired with zeros.
DT_AVX512 void interleave_rows_avx512(const PanelSource& from, int64_t first_k, int64_t num_k, int64_t first_n,
                                      int64_t num_n, c10::BFloat16* to) {
  const auto element_bytes = static_cast<int64_t>(c10::elementSize(from.dtype));
  const __m512i upper = _mm512_set1_epi32(static_cast<int>(0xFFFF0000));
  for (int64_t k = 0; k < num_k; k += 2) {
    const bool has_second = k + 1 < num_k;
    const char* first = element(from, first_k + k, first_n);
    const char* second = has_second ? first + from.k_stride * element_bytes : first;
    const __m512i kept = has_second ? upper : _mm512_setzero_si512();
    prefetch_row(first + kRowsAhead * from.k_stride * element_bytes, num_n * element_bytes);
    prefetch_row(second + kRowsAhead * from.k_stride * element_bytes, num_n * element_bytes);
    int64_t n = 0;
    for (; n + kBlock <= num_n; n += kBlock) {
      const __m512i low = _mm512_castps_si512(load_lanes(first + n * element_bytes, from.dtype));
      const __m512i high = _mm512_castps_si512(load_lanes(second + n * element_bytes, from.dtype));
      _mm512_storeu_si512(to + k * num_n + 2 * n,
                          _mm512_or_si512(_mm512_srli_epi32(low, 16), _mm512_and_si512(high, kept)));
    }
    if (n == num_n) continue;
    const __m512i low = _mm512_castps_si512(load_some_lanes(first + n * element_bytes, from.dtype, num_n - n));
    const __m512i high = _mm512_castps_si512(load_some_lanes(second + n * element_bytes, from.dtype, num_n - n));
    _mm512_mask_storeu_epi32(to + k * num_n + 2 * n, static_cast<__mmask16>((1U << (num_n - n)) - 1),
                             _mm512_or_si512(_mm512_srli_epi32(low, 16), _mm512_and_si512(high, kept)));
  }
}

constexpr int64_t kPairBlock = 2 * kBlock;

// Up to 16 rows of up to 32 values as bf16, to[row * 32 + k]; zeros elsewhere.
DT_AVX512 void bfloat16_block_avx512(const PanelSource& from, int64_t k, int64_t num_k, int64_t n, int64_t num_n,
                                     c10::BFloat16* to) {
  const auto element_bytes = static_cast<int64_t>(c10::elementSize(from.dtype));
  const int64_t num_low = std::min(num_k, kBlock), num_high = num_k - num_low;
  for (int64_t i = 0; i < kBlock; ++i) {
    auto* target = reinterpret_cast<__m256i*>(to + i * kPairBlock);
    const char* row = element(from, k, n + std::min(i, num_n - 1));
    const int64_t low = i < num_n ? num_low : 0, high = i < num_n ? num_high : 0;
    _mm256_storeu_si256(target, upper_halves(load_some_lanes(row, from.dtype, low)));
    _mm256_storeu_si256(target + 1, upper_halves(load_some_lanes(row + num_low * element_bytes, from.dtype, high)));
  }
}

// Pairs of adjacent values of the rows of a weight become pairs of rows: a pair is moved as one value of fp32.
DT_AVX512 void transpose_pairs_avx512(const PanelSource& from, int64_t first_k, int64_t num_k, int64_t first_n,
                                      int64_t num_n, c10::BFloat16* to) {
  const bool is_in_place = from.dtype == at::kBFloat16 && from.n_stride % 2 == 0;
  c10::BFloat16 block[kBlock * kPairBlock];
  float pairs[kBlock * kBlock];
  const PanelSource pairs_of_block{block, at::kFloat, 1, kBlock};
  for (int64_t k = 0; k < num_k; k += kPairBlock) {
    const int64_t rows = std::min(kPairBlock, num_k - k);
    for (int64_t n = 0; n < num_n; n += kBlock) {
      const int64_t columns = std::min(kBlock, num_n - n);
      auto* target = reinterpret_cast<float*>(to + k * num_n) + n;
      const bool is_whole = rows == kPairBlock && columns == kBlock;
      if (is_whole && is_in_place) {
        const PanelSource in_place{element(from, first_k + k, first_n), at::kFloat, 1, from.n_stride / 2};
        transpose_avx512(in_place, 0, n, target, num_n);
        continue;
      }
      bfloat16_block_avx512(from, first_k + k, rows, first_n + n, columns, block);
      if (is_whole) {
        transpose_avx512(pairs_of_block, 0, 0, target, num_n, /*prefetches=*/false);
        continue;
      }
      transpose_avx512(pairs_of_block, 0, 0, pairs, kBlock, /*prefetches=*/false);
      for (int64_t i = 0; i < (rows + 1) / 2; ++i) {
        std::memcpy(target + i * num_n, pairs + i * kBlock, static_cast<size_t>(columns) * sizeof(float));
      }
    }
  }
}

bool has_avx512() { return __builtin_cpu_supports("avx512f") != 0; }

#else

void transpose_avx512(const PanelSource&, int64_t, int64_t, float*, int64_t, bool = true) {}
void widen_rows_avx512(const PanelSource&, int64_t, int64_t, int64_t, int64_t, float*) {}
void interleave_rows_avx512(const PanelSource&, int64_t, int64_t, int64_t, int64_t, c10::BFloat16*) {}
void transpose_pairs_avx512(const PanelSource&, int64_t, int64_t, int64_t, int64_t, c10::BFloat16*) {}
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

void pack_panel(const PanelSource& from, int64_t first_k, int64_t num_k, int64_t first_n, int64_t num_n,
                c10::BFloat16* to) {
  if (has_avx512()) {
    return from.n_stride == 1 ? interleave_rows_avx512(from, first_k, num_k, first_n, num_n, to)
                              : transpose_pairs_avx512(from, first_k, num_k, first_n, num_n, to);
  }
  for (int64_t k = 0; k < num_k + num_k % 2; ++k) {
    for (int64_t n = 0; n < num_n; ++n) {
      float value = 0;
      if (k < num_k) widen_row(from.dtype, element(from, first_k + k, first_n + n), &value, 1);
      to[(k / 2 * num_n + n) * 2 + k % 2] = value;
    }
  }
}

}  // namespace difftune::nn
