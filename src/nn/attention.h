// Attention of several heads, softmax(q kᵀ · scale + mask) v.
//
// LibTorch computes it, except in bf16 on a CPU with bf16 instructions, where its products go through fp32 ones: there
// this file has its own, on the same small kernels as the layers. Both hold scores and sums in fp32 and round what
// enters a product to bf16.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace difftune::nn {

// q: [B, heads, N, d], k, v: [B, heads, M, d] → [B, heads, N, d], any strides. `mask` is added to the scores, or says
// which are seen where it is bool, broadcast to [B, heads, N, M]; undefined for none. With `is_causal` position i sees
// 0..i. The scale is 1 / sqrt(d) if none is given.
at::Tensor attention_of_heads(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                              const at::Tensor& mask = {}, bool is_causal = false,
                              std::optional<double> scale = std::nullopt);

// The same for q: [B, N, heads d], k, v: [B, M, heads d] → [B, N, heads d].
at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, int64_t num_heads,
                     const at::Tensor& mask = {}, bool is_causal = false);

}  // namespace difftune::nn
