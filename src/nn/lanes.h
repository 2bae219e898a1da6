// Sixteen values at once in the compiler's own vectors. A function marked DT_FOR_EACH_VECTOR_WIDTH is compiled for
// several widths of registers, and the machine's is taken.
#pragma once

#include <cstdint>

namespace difftune::nn {

constexpr int64_t kLanes = 16;
using Lanes = float __attribute__((vector_size(kLanes * sizeof(float)), aligned(alignof(float)), may_alias));

}  // namespace difftune::nn

#if defined(__x86_64__)
#define DT_FOR_EACH_VECTOR_WIDTH __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define DT_FOR_EACH_VECTOR_WIDTH
#endif

#define DT_LANES(pointer) (*reinterpret_cast<difftune::nn::Lanes*>(pointer))
#define DT_CONST_LANES(pointer) (*reinterpret_cast<const difftune::nn::Lanes*>(pointer))
