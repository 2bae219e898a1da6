#include "nn/widen.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/error.h"

#if defined(__x86_64__)
#include <immintrin.h>
// GCC 12 takes the undefined operand in its own AVX-512 header for a mistake (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace difftune::nn {
namespace {

using Widen = void (*)(const uint16_t* from, float* to, int64_t count);

void widen_half_plain(const uint16_t* from, float* to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] = c10::detail::fp16_ieee_to_fp32_value(from[i]);
}

void widen_bfloat16_plain(const uint16_t* from, float* to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] = std::bit_cast<float>(static_cast<uint32_t>(from[i]) << 16);
}

#if defined(__x86_64__)

__attribute__((target("avx512f"))) void widen_half_avx512(const uint16_t* from, float* to, int64_t count) {
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const __m256i values = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + i));
    _mm512_storeu_ps(to + i, _mm512_cvtph_ps(values));
  }
  widen_half_plain(from + i, to + i, count - i);
}

__attribute__((target("avx,f16c"))) void widen_half_f16c(const uint16_t* from, float* to, int64_t count) {
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m128i values = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i));
    _mm256_storeu_ps(to + i, _mm256_cvtph_ps(values));
  }
  widen_half_plain(from + i, to + i, count - i);
}

__attribute__((target("avx512f"))) void widen_bfloat16_avx512(const uint16_t* from, float* to, int64_t count) {
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const __m256i values = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + i));
    _mm512_storeu_si512(to + i, _mm512_slli_epi32(_mm512_cvtepu16_epi32(values), 16));
  }
  widen_bfloat16_plain(from + i, to + i, count - i);
}

Widen pick_half() {
  if (__builtin_cpu_supports("avx512f")) return widen_half_avx512;
  return __builtin_cpu_supports("f16c") ? widen_half_f16c : widen_half_plain;
}
Widen pick_bfloat16() { return __builtin_cpu_supports("avx512f") ? widen_bfloat16_avx512 : widen_bfloat16_plain; }

#else

Widen pick_half() { return widen_half_plain; }
Widen pick_bfloat16() { return widen_bfloat16_plain; }

#endif

Widen half_widener() {
  static const Widen widen = pick_half();
  return widen;
}
Widen bfloat16_widener() {
  static const Widen widen = pick_bfloat16();
  return widen;
}

}  // namespace

void widen_row(c10::ScalarType dtype, const void* from, float* to, int64_t count) {
  if (dtype == at::kFloat) {
    std::memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
    return;
  }
  DT_CHECK(dtype == at::kHalf || dtype == at::kBFloat16, "values of fp32, fp16 or bf16");
  (dtype == at::kHalf ? half_widener() : bfloat16_widener())(static_cast<const uint16_t*>(from), to, count);
}

void widen_rows(const at::Tensor& from, at::Tensor& to) {
  const auto type = from.scalar_type();
  const bool is_half = type == at::kHalf, is_bfloat16 = type == at::kBFloat16;
  if (!from.is_cpu() || (!is_half && !is_bfloat16) || to.scalar_type() != at::kFloat || from.stride(1) != 1 ||
      !to.is_contiguous()) {
    to.copy_(from);
    return;
  }
  const Widen widen = is_half ? half_widener() : bfloat16_widener();
  const auto* source = static_cast<const uint16_t*>(from.const_data_ptr());
  float* target = to.mutable_data_ptr<float>();
  const int64_t width = from.size(1), stride = from.stride(0);
  at::parallel_for(0, from.size(0), std::max<int64_t>(1, 32768 / width), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) widen(source + row * stride, target + row * width, width);
  });
}

}  // namespace difftune::nn
