// Images as rows of pixels: what convolutions on the CPU compute with. Free for channels-last fp32.
#pragma once

#include <ATen/core/Tensor.h>

namespace difftune::nn {

// [B, C, H, W] → [B H W, C] in `dtype`.
inline at::Tensor pixel_rows(const at::Tensor& image, c10::ScalarType dtype = c10::kFloat) {
  return image.to(dtype).permute({0, 2, 3, 1}).reshape({-1, image.size(1)}).contiguous();
}

// [B H W, C] → [B, C, H, W], channels-last, in `dtype`.
inline at::Tensor image_of(const at::Tensor& rows, int64_t batch, int64_t height, int64_t width,
                           c10::ScalarType dtype) {
  return rows.view({batch, height, width, rows.size(1)}).permute({0, 3, 1, 2}).to(dtype);
}

}  // namespace difftune::nn
