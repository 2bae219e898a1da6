// Products with a frozen weight, which may be stored in another dtype than the computation runs in.
//
// A weight in half precision or float8 is exact in fp32. On the CPU it becomes fp32 panel by panel, where it is
// multiplied (nn/panel_product.h), which saves half of its memory or more and costs no more than reading the fp32
// weight would.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>

#include <optional>

namespace difftune::nn {

// The dtype in which products of values of `dtype` are computed: itself on a GPU; on the CPU fp32 for half precision,
// unless this processor multiplies bf16 faster than fp32 (measured once).
c10::ScalarType product_dtype(c10::Device device, c10::ScalarType dtype);

// rows · matrix, added to a product: rows [N, rank], matrix [rank, columns]; both in the dtype of the product.
struct LowRankTerm {
  at::Tensor rows, matrix;
};

// x Wᵀ (+ bias) (+ low rank) for x: [N, in], weight: [out, in] of any float dtype, any strides → [N, out] in the dtype
// of x.
at::Tensor times_transposed(const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                            const LowRankTerm* low_rank = nullptr);

// g W (+ low rank) for g: [N, out], weight: [out, in] → [N, in] in the dtype of g.
at::Tensor times(const at::Tensor& g, const at::Tensor& weight, const LowRankTerm* low_rank = nullptr);

// aᵀ b for a: [N, rank] with few columns, b: [N, columns] of the same dtype → [rank, columns].
at::Tensor transposed_times(const at::Tensor& a, const at::Tensor& b);

// g W as fp32.
at::Tensor times_in_fp32(const at::Tensor& g, const at::Tensor& weight);

// sum += x Wᵀ and sum += g W; the sum is fp32.
void add_times_transposed(at::Tensor& sum, const at::Tensor& x, const at::Tensor& weight);
void add_times(at::Tensor& sum, const at::Tensor& g, const at::Tensor& weight);

}  // namespace difftune::nn
