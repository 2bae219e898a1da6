// Products with a frozen weight, which may be stored in another dtype than the computation runs in.
//
// A weight in half precision or float8 is exact in fp32. On the CPU it is converted tile by tile into a scratch that stays in the
// cache, which saves half of its memory or more and, for few rows, costs no more than reading the fp32 weight would.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>

#include <optional>

namespace difftune::nn {

// The dtype in which products of values of `dtype` are computed: itself on a GPU; on the CPU fp32 for half precision,
// unless this processor multiplies bf16 faster than fp32 (measured once).
c10::ScalarType product_dtype(c10::Device device, c10::ScalarType dtype);

// x Wᵀ (+ bias) for x: [N, in], weight: [out, in] of any float dtype, any strides → [N, out] in the dtype of x.
at::Tensor times_transposed(const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>& bias);

// g W for g: [N, out], weight: [out, in] → [N, in] in the dtype of g.
at::Tensor times(const at::Tensor& g, const at::Tensor& weight);

// sum += x Wᵀ and sum += g W; all but `weight` have the same dtype.
void add_times_transposed(at::Tensor& sum, const at::Tensor& x, const at::Tensor& weight);
void add_times(at::Tensor& sum, const at::Tensor& g, const at::Tensor& weight);

}  // namespace difftune::nn
