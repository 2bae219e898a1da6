// Narrow floats to wider ones, row by row.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/BFloat16.h>

namespace difftune::nn {

// to = from for matrices of the same shape. Rows of fp16, bf16 or float8_e4m3fn with adjacent elements go to a
// contiguous fp32 matrix by vector instructions; float8_e4m3fn to bf16 as well, and fp16 to bf16, which is rounded to
// nearest. Any other pair is LibTorch's copy.
void widen_rows(const at::Tensor& from, at::Tensor& to);

// to[i] = from[i] in fp32 for `count` adjacent values of fp32, fp16, bf16 or float8_e4m3fn.
void widen_row(c10::ScalarType dtype, const void* from, float* to, int64_t count);

// to[i] = from[i] rounded to the nearest bf16, ties to even.
void narrow_row(const float* from, c10::BFloat16* to, int64_t count);

}  // namespace difftune::nn
