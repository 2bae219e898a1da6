// Attention without a mask in bf16, on the CPU's bf16 instructions (see nn/attention.h).
//
// The scores of a block of queries, or of keys in the backward pass, exist at a time: as in FlashAttention
// (arXiv:2205.14135), the backward pass computes them again from q, k and the logarithms of the softmax's sums.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace difftune::nn {

// Whether this processor and these operands suit bfloat16_attention.
bool bfloat16_attention_pays(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

// softmax(q kᵀ scale) v for q: [B, heads, N, d], k, v: [B, heads, M, d], d even → [B, heads, N, d], bf16. The scale is
// 1 / sqrt(d) if none is given.
at::Tensor bfloat16_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                              std::optional<double> scale = std::nullopt);

}  // namespace difftune::nn
