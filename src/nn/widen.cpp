#include "nn/widen.h"

#include <ATen/Parallel.h>
#include <c10/util/Float8_e4m3fn.h>

#include <algorithm>
#include <bit>
#include <cstddef>

#if defined(__x86_64__)
#include <immintrin.h>
// GCC 12 takes the undefined operand in its own AVX-512 header for a mistake (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

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

#if defined(__x86_64__)

__attribute__((target("avx512f"))) void widen_half_avx512(const void* from, void* to, int64_t count) {
  const auto* values = static_cast<const uint16_t*>(from);
  auto* target = static_cast<float*>(to);
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const __m256i half = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(values + i));
    _mm512_storeu_ps(target + i, _mm512_cvtph_ps(half));
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

__attribute__((target("avx512f"))) void widen_bfloat16_avx512(const void* from, void* to, int64_t count) {
  const auto* values = static_cast<const uint16_t*>(from);
  auto* target = static_cast<float*>(to);
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const __m256i narrow = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(values + i));
    _mm512_storeu_si512(target + i, _mm512_slli_epi32(_mm512_cvtepu16_epi32(narrow), 16));
  }
  widen_bfloat16_plain(values + i, target + i, count - i);
}

// 16 values as the bits of fp32. The exponent and mantissa of float8 are moved to their places in fp16, whose exponent
// is 8 too small then; the conversion from fp16 knows small numbers without an implicit one. All ones are the NaN.
__attribute__((target("avx512f,avx2"))) inline __m512i float8_bits_avx512(const uint8_t* values) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(values));
  const __m256i wide = _mm256_cvtepu8_epi16(bytes);
  const __m256i magnitude = _mm256_slli_epi16(_mm256_and_si256(wide, _mm256_set1_epi16(0x7F)), 7);
  const __m256i sign = _mm256_slli_epi16(_mm256_and_si256(wide, _mm256_set1_epi16(0x80)), 8);
  const __m512 scaled = _mm512_mul_ps(_mm512_cvtph_ps(_mm256_or_si256(magnitude, sign)), _mm512_set1_ps(256.0F));
  const __m512i plain = _mm512_and_si512(_mm512_cvtepu8_epi32(bytes), _mm512_set1_epi32(0x7F));
  const __mmask16 is_nan = _mm512_cmpeq_epi32_mask(plain, _mm512_set1_epi32(0x7F));
  const __m512i bits = _mm512_castps_si512(scaled);
  return _mm512_mask_or_epi32(bits, is_nan, bits, _mm512_set1_epi32(0x7F800000));
}

__attribute__((target("avx512f,avx2"))) void widen_float8_avx512(const void* from, void* to, int64_t count) {
  const auto* values = static_cast<const uint8_t*>(from);
  auto* target = static_cast<float*>(to);
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) _mm512_storeu_si512(target + i, float8_bits_avx512(values + i));
  widen_float8_plain(values + i, target + i, count - i);
}

__attribute__((target("avx512f,avx2"))) void widen_float8_to_bfloat16_avx512(const void* from, void* to,
                                                                             int64_t count) {
  const auto* values = static_cast<const uint8_t*>(from);
  auto* target = static_cast<uint16_t*>(to);
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const __m256i narrow = _mm512_cvtepi32_epi16(_mm512_srli_epi32(float8_bits_avx512(values + i), 16));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(target + i), narrow);
  }
  widen_float8_to_bfloat16_plain(values + i, target + i, count - i);
}

bool has_avx512() { return __builtin_cpu_supports("avx512f"); }

Widen pick_half() {
  if (has_avx512()) return widen_half_avx512;
  return __builtin_cpu_supports("f16c") ? widen_half_f16c : widen_half_plain;
}
Widen pick_bfloat16() { return has_avx512() ? widen_bfloat16_avx512 : widen_bfloat16_plain; }
Widen pick_float8() { return has_avx512() ? widen_float8_avx512 : widen_float8_plain; }
Widen pick_float8_to_bfloat16() {
  return has_avx512() ? widen_float8_to_bfloat16_avx512 : widen_float8_to_bfloat16_plain;
}

#else

Widen pick_half() { return widen_half_plain; }
Widen pick_bfloat16() { return widen_bfloat16_plain; }
Widen pick_float8() { return widen_float8_plain; }
Widen pick_float8_to_bfloat16() { return widen_float8_to_bfloat16_plain; }

#endif

// Null where there is no conversion of ours.
Widen pick(c10::ScalarType from, c10::ScalarType to) {
  if (from == at::kFloat8_e4m3fn && to == at::kBFloat16) return pick_float8_to_bfloat16();
  if (to != at::kFloat) return nullptr;
  if (from == at::kHalf) return pick_half();
  if (from == at::kBFloat16) return pick_bfloat16();
  return from == at::kFloat8_e4m3fn ? pick_float8() : nullptr;
}

}  // namespace

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
