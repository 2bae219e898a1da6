// Functions without parameters that several models share.
#pragma once

#include <ATen/core/Tensor.h>

namespace difftune::nn {

at::Tensor silu(const at::Tensor& x);
// x Φ(x), with the exact normal distribution function.
at::Tensor gelu(const at::Tensor& x);
// x σ(1.702 x), as the original CLIP computes it.
at::Tensor quick_gelu(const at::Tensor& x);

// Sinusoids of a step: [B] → [B, size] in fp32, cosines first; frequencies exp(-ln(10000) i / (size / 2)).
// Source: CompVis/latent-diffusion, ldm/modules/diffusionmodules/util.py.
at::Tensor timestep_embedding(const at::Tensor& timesteps, int64_t size);

}  // namespace difftune::nn
