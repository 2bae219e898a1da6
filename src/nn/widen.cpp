#include "nn/widen.h"

#include <ATen/Parallel.h>
#include <c10/util/Float8_e4m3fn.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>

#include "base/error.h"
#include "nn/lanes_avx512.h"

namespace difftune::nn {
namespace {

// Converts `count` adjacent values.
using Widen = void (*)(const void* from, void* to, int64_t count);

void widen_half_plain(const void* from, void* to, int64_t count) {
  const auto* values = static_cast<const uint16_t*>(from);
  for (int64_t i = 0; i < count; ++i) static_cast<float*>(to)[i] = c10::detail::fp16_ieee_to_fp32_value(values[i]);
}

void widen_bfloat16_plain(const void* from, void* to, int64_t count) {
  const auto* values = static_cast<const uint16_t*>(from);
  for (int64_t i = 0; i < count; ++i) {
    static_cast<float*>(to)[i] = std::bit_cast<float>(static_cast<uint32_t>(values[i]) << 16);
  }
}

// Float8 means e4m3fn throughout: 4 bits of exponent, 3 of mantissa, no infinity (arXiv:2209.05433).
void widen_float8_plain(const void* from, void* to, int64_t count) {
  const auto* values = static_cast<const uint8_t*>(from);
  for (int64_t i = 0; i < count; ++i) static_cast<float*>(to)[i] = c10::detail::fp8e4m3fn_to_fp32_value(values[i]);
}

// bf16 holds every value of float8.
void widen_float8_to_bfloat16_plain(const void* from, void* to, int64_t count) {
  const auto* values = static_cast<const uint8_t*>(from);
  for (int64_t i = 0; i < count; ++i) {
    const float value = c10::detail::fp8e4m3fn_to_fp32_value(values[i]);
    static_cast<uint16_t*>(to)[i] = static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16);
  }
}

void narrow_half_plain(const void* from, void* to, int64_t count) {
  const auto* values = static_cast<const uint16_t*>(from);
  for (int64_t i = 0; i < count; ++i) {
    static_cast<c10::BFloat16*>(to)[i] = c10::detail::fp16_ieee_to_fp32_value(values[i]);
  }
}

#if defined(__x86_64__)

DT_AVX512 void widen_half_avx512(const void* from, void* to, int64_t count) {
  const auto* values = static_cast<const uint16_t*>(from);
  auto* target = static_cast<float*>(to);
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    _mm512_storeu_ps(target + i, half_lanes(values + i));
  }
  widen_half_plain(values + i, target + i, count - i);
}

__attribute__((target("avx,f16c"))) void widen_half_f16c(const void* from, void* to, int64_t count) {
  const auto* values = static_cast<const uint16_t*>(from);
  auto* target = static_cast<float*>(to);
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(values + i));
    _mm256_storeu_ps(target + i, _mm256_cvtph_ps(half));
  }
  widen_half_plain(values + i, target + i, count - i);
}

DT_AVX512 void widen_bfloat16_avx512(const void* from, void* to, int64_t count) {
  const auto* values = static_cast<const uint16_t*>(from);
  auto* target = static_cast<float*>(to);
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    _mm512_storeu_ps(target + i, bfloat16_lanes(values + i));
  }
  widen_bfloat16_plain(values + i, target + i, count - i);
}

DT_AVX512 void widen_float8_avx512(const void* from, void* to, int64_t count) {
  const auto* values = static_cast<const uint8_t*>(from);
  auto* target = static_cast<float*>(to);
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) _mm512_storeu_ps(target + i, float8_lanes(values + i));
  widen_float8_plain(values + i, target + i, count - i);
}

DT_AVX512 void widen_float8_to_bfloat16_avx512(const void* from, void* to, int64_t count) {
  const auto* values = static_cast<const uint8_t*>(from);
  auto* target = static_cast<uint16_t*>(to);
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const __m256i narrow = _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_castps_si512(float8_lanes(values + i)), 16));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(target + i), narrow);
  }
  widen_float8_to_bfloat16_plain(values + i, target + i, count - i);
}

// As bf16. Rounding to nearest adds a half of the last place, less a bit where the kept part is even; a NaN stays one.
DT_AVX512 __m256i rounded_lanes(__m512 values) {
  const __m512i bits = _mm512_castps_si512(values);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF)));
  const __mmask16 is_nan = _mm512_cmp_ps_mask(values, values, _CMP_UNORD_Q);
  const __m512i safe = _mm512_mask_mov_epi32(rounded, is_nan, _mm512_set1_epi32(0x7FC00000));
  return _mm512_cvtepi32_epi16(_mm512_srli_epi32(safe, 16));
}

DT_AVX512 void narrow_avx512(const float* from, c10::BFloat16* to, int64_t count) {
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + i), rounded_lanes(_mm512_loadu_ps(from + i)));
  }
  for (; i < count; ++i) to[i] = from[i];
}

DT_AVX512 void narrow_half_avx512(const void* from, void* to, int64_t count) {
  const auto* values = static_cast<const uint16_t*>(from);
  auto* target = static_cast<c10::BFloat16*>(to);
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(target + i), rounded_lanes(half_lanes(values + i)));
  }
  narrow_half_plain(values + i, target + i, count - i);
}

bool has_avx512() { return __builtin_cpu_supports("avx512f"); }

Widen pick_half() {
  if (has_avx512()) return widen_half_avx512;
  return __builtin_cpu_supports("f16c") ? widen_half_f16c : widen_half_plain;
}
Widen pick_half_to_bfloat16() { return has_avx512() ? narrow_half_avx512 : narrow_half_plain; }
Widen pick_bfloat16() { return has_avx512() ? widen_bfloat16_avx512 : widen_bfloat16_plain; }
Widen pick_float8() { return has_avx512() ? widen_float8_avx512 : widen_float8_plain; }
Widen pick_float8_to_bfloat16() {
  return has_avx512() ? widen_float8_to_bfloat16_avx512 : widen_float8_to_bfloat16_plain;
}

#else

bool has_avx512() { return false; }
void narrow_avx512(const float*, c10::BFloat16*, int64_t) {}

Widen pick_half() { return widen_half_plain; }
Widen pick_half_to_bfloat16() { return narrow_half_plain; }
Widen pick_bfloat16() { return widen_bfloat16_plain; }
Widen pick_float8() { return widen_float8_plain; }
Widen pick_float8_to_bfloat16() { return widen_float8_to_bfloat16_plain; }

#endif

// Null where there is no conversion of ours.
Widen pick(c10::ScalarType from, c10::ScalarType to) {
  if (from == at::kFloat8_e4m3fn && to == at::kBFloat16) return pick_float8_to_bfloat16();
  if (from == at::kHalf && to == at::kBFloat16) return pick_half_to_bfloat16();
  if (to != at::kFloat) return nullptr;
  if (from == at::kHalf) return pick_half();
  if (from == at::kBFloat16) return pick_bfloat16();
  return from == at::kFloat8_e4m3fn ? pick_float8() : nullptr;
}

}  // namespace

void widen_row(c10::ScalarType dtype, const void* from, float* to, int64_t count) {
  if (dtype == at::kFloat) {
    std::memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
    return;
  }
  const Widen widen = pick(dtype, at::kFloat);
  DT_CHECK(widen != nullptr, "values of fp32, fp16, bf16 or float8");
  widen(from, to, count);
}

void narrow_row(const float* from, c10::BFloat16* to, int64_t count) {
  if (has_avx512()) return narrow_avx512(from, to, count);
  for (int64_t i = 0; i < count; ++i) to[i] = from[i];
}

void widen_rows(const at::Tensor& from, at::Tensor& to) {
  const Widen widen = pick(from.scalar_type(), to.scalar_type());
  if (widen == nullptr || !from.is_cpu() || from.stride(1) != 1 || !to.is_contiguous()) {
    to.copy_(from);
    return;
  }
  const auto* source = static_cast<const std::byte*>(from.const_data_ptr());
  auto* target = static_cast<std::byte*>(to.mutable_data_ptr());
  const int64_t width = from.size(1);
  const auto from_row_bytes = from.stride(0) * static_cast<int64_t>(from.element_size());
  const auto to_row_bytes = width * static_cast<int64_t>(to.element_size());
  at::parallel_for(0, from.size(0), std::max<int64_t>(1, 32768 / width), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      widen(source + row * from_row_bytes, target + row * to_row_bytes, width);
  });
}

}  // namespace difftune::nn
