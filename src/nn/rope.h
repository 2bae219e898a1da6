// Rotary position embedding (arXiv:2104.09864) over several axes, rotating adjacent pairs of features.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace difftune::nn {

// The rotations of a sequence of N positions: cosines and sines, float32 [N, d / 2], or [B, N, d / 2].
struct Rotations {
  at::Tensor cos, sin;
};

// positions: [..., N, axes], any dtype; axis i takes dims[i] features (even) of a head, with frequencies
// theta^(-2k/dims[i]). Angles are computed in float64, as in black-forest-labs/flux src/flux/math.py.
Rotations rotations(const at::Tensor& positions, const std::vector<int64_t>& dims, double theta = 10000);

// x: [B, heads, N, d] → the same, rotated in float32 and returned in the dtype of x. Keeps nothing but the rotations
// for the gradient, which is the opposite rotation.
at::Tensor rotate(const at::Tensor& x, const Rotations& rotations);

}  // namespace difftune::nn
