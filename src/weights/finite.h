// Whether all values of a tensor are finite, at the speed of reading it.
#pragma once

#include <ATen/core/Tensor.h>

namespace difftune {

// True for integers. A NaN or an infinity in any floating dtype, also the 8-bit ones, gives false.
bool all_finite(const at::Tensor& tensor);

}  // namespace difftune
