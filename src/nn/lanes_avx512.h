// Sixteen values of a stored precision as fp32, in AVX-512. Included by the few files that have such code.
#pragma once

#if defined(__x86_64__)

#include <c10/core/ScalarType.h>
#include <immintrin.h>
// GCC 12 takes the undefined operand in its own AVX-512 header for a mistake (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"

#define DT_AVX512 __attribute__((target("avx512f,avx2")))

namespace difftune::nn {

DT_AVX512 inline __m512 half_lanes(const void* from) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(from)));
}

DT_AVX512 inline __m512 bfloat16_lanes(const void* from) {
  const __m256i narrow = _mm256_loadu_si256(static_cast<const __m256i*>(from));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(narrow), 16));
}

// Float8 means e4m3fn: 4 bits of exponent, 3 of mantissa, no infinity (arXiv:2209.05433). The exponent and mantissa are
// moved to their places in fp16, whose exponent is 8 too small then; the conversion from fp16 knows small numbers
// without an implicit one. All ones are the NaN.
DT_AVX512 inline __m512 float8_lanes(const void* from) {
  const __m128i bytes = _mm_loadu_si128(static_cast<const __m128i*>(from));
  const __m256i wide = _mm256_cvtepu8_epi16(bytes);
  const __m256i magnitude = _mm256_slli_epi16(_mm256_and_si256(wide, _mm256_set1_epi16(0x7F)), 7);
  const __m256i sign = _mm256_slli_epi16(_mm256_and_si256(wide, _mm256_set1_epi16(0x80)), 8);
  const __m512 scaled = _mm512_mul_ps(_mm512_cvtph_ps(_mm256_or_si256(magnitude, sign)), _mm512_set1_ps(256.0F));
  const __m512i plain = _mm512_and_si512(_mm512_cvtepu8_epi32(bytes), _mm512_set1_epi32(0x7F));
  const __mmask16 is_nan = _mm512_cmpeq_epi32_mask(plain, _mm512_set1_epi32(0x7F));
  const __m512i bits = _mm512_castps_si512(scaled);
  return _mm512_castsi512_ps(_mm512_mask_or_epi32(bits, is_nan, bits, _mm512_set1_epi32(0x7F800000)));
}

// Values of fp32, fp16, bf16 or float8.
DT_AVX512 inline __m512 load_lanes(const void* from, c10::ScalarType dtype) {
  switch (dtype) {
    case c10::ScalarType::Half:
      return half_lanes(from);
    case c10::ScalarType::BFloat16:
      return bfloat16_lanes(from);
    case c10::ScalarType::Float8_e4m3fn:
      return float8_lanes(from);
    default:
      return _mm512_loadu_ps(from);
  }
}

}  // namespace difftune::nn

#endif
