// Functions without parameters that several models share.
#pragma once

#include <ATen/core/Tensor.h>

namespace difftune::nn {

at::Tensor silu(const at::Tensor& x);
// x Φ(x), with the exact normal distribution function.
at::Tensor gelu(const at::Tensor& x);
// x σ(1.702 x), as the original CLIP computes it.
at::Tensor quick_gelu(const at::Tensor& x);

// softmax(q kᵀ / sqrt(d)) v for q: [B, N, heads d], k, v: [B, M, heads d] → [B, N, heads d]. `mask` is added to the
// scores, broadcast to [B, heads, N, M]; undefined for none. With `is_causal` position i sees 0..i.
at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, int64_t num_heads,
                     const at::Tensor& mask = {}, bool is_causal = false);

// Sinusoids of a step: [B] → [B, size] in fp32, cosines first; frequencies exp(-ln(10000) i / (size / 2)).
// Source: CompVis/latent-diffusion, ldm/modules/diffusionmodules/util.py.
at::Tensor timestep_embedding(const at::Tensor& timesteps, int64_t size);

}  // namespace difftune::nn
