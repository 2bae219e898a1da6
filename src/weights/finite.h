// Whether all values of a tensor are finite, at the speed of reading it, on this thread.
#pragma once

#include <ATen/core/Tensor.h>

namespace difftune {

// True for integers. A NaN or an infinity in any floating dtype, also the 8-bit ones, gives false.
bool all_finite(const at::Tensor& tensor);

// The same for `count` adjacent values of fp32, fp16, bf16 or a float8.
bool all_finite(c10::ScalarType dtype, const void* values, int64_t count);

}  // namespace difftune
