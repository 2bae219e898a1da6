#include "nn/attention.h"

#include <ATen/ops/scaled_dot_product_attention.h>

#include "nn/bfloat16_attention.h"

namespace difftune::nn {

at::Tensor attention_of_heads(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& mask,
                              bool is_causal, std::optional<double> scale) {
  if (!mask.defined() && !is_causal && bfloat16_attention_pays(q, k, v)) return bfloat16_attention(q, k, v, scale);
  const auto bias = mask.defined() ? std::optional<at::Tensor>(mask) : std::nullopt;
  return at::scaled_dot_product_attention(q, k, v, bias, /*dropout_p=*/0.0, is_causal, scale);
}

at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, int64_t num_heads,
                     const at::Tensor& mask, bool is_causal) {
  const auto heads_first = [num_heads](const at::Tensor& x) {  // [B, heads, N, d]
    return x.view({x.size(0), x.size(1), num_heads, x.size(2) / num_heads}).transpose(1, 2);
  };
  const at::Tensor out = attention_of_heads(heads_first(q), heads_first(k), heads_first(v), mask, is_causal);
  return out.transpose(1, 2).reshape(q.sizes());
}

}  // namespace difftune::nn
