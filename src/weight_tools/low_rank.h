// Matrices cut down to a few singular values.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace difftune {

// Up to this size of the smaller side LAPACK takes milliseconds.
inline constexpr int64_t kSmallSide = 256;

// U diag(s) Vh with orthonormal u [m, k] and vh [k, n]; s [k] falls. On the CPU, in fp32.
struct TruncatedSvd {
  at::Tensor u, s, vh;
  int64_t rank() const { return s.size(0); }
};

// The SVD of up · down ([m, r] and [r, n]), with min(m, n, r) singular values, without the product: QR of each factor,
// SVD of the core between them. Computed in fp64, so that the small values are right too.
TruncatedSvd svd_of_product(const at::Tensor& up, const at::Tensor& down);

// The first `rank` singular values by LAPACK's full SVD.
TruncatedSvd exact_svd(const at::Tensor& matrix, int64_t rank);

// More singular values: zeros with random orthonormal rows and columns. `rank` may not exceed min(m, n).
void extend_with_zeros(TruncatedSvd& svd, int64_t rank, uint64_t seed);

// The first `rank` values and vectors.
TruncatedSvd truncated(const TruncatedSvd& svd, int64_t rank);

// torch.quantile with linear interpolation over the values of both tensors.
double joint_quantile(const at::Tensor& a, const at::Tensor& b, double q);

}  // namespace difftune
