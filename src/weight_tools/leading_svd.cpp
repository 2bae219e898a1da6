#include "weight_tools/leading_svd.h"

#include <ATen/ops/eye.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "weight_tools/lapack_like_svd.h"

namespace difftune {
namespace {

// Squared singular values are known to this share of their sum.
constexpr double kRounding = 1e-7;

double squared_norm(const at::Tensor& tensor) {
  const double norm = at::linalg_vector_norm(tensor, 2, std::nullopt, false, at::kDouble).item<double>();
  return norm * norm;
}

}  // namespace

LeadingSvd leading_svd(const at::Tensor& matrix, int64_t rank, uint64_t seed, bool exact) {
  const double norm_sq = squared_norm(matrix);
  if (norm_sq == 0) {
    return {.svd = {at::eye(matrix.size(0), rank, matrix.options()), at::zeros({rank}, matrix.options()),
                    at::eye(rank, matrix.size(1), matrix.options())},
            .is_exact = true,
            .differs = false};
  }
  auto found = exact ? std::nullopt : lapack_like_svd(matrix, rank, seed);
  LeadingSvd result;
  result.is_exact = !found;
  result.svd = found ? std::move(found->svd) : exact_svd(matrix, rank);
  const double lost = norm_sq - squared_norm(result.svd.s);
  result.residual = std::sqrt(std::max(0.0, lost) / norm_sq);
  if (found) {
    const double known = std::max(lost, kRounding * norm_sq);
    result.excess = std::sqrt(known / std::max(known - found->missed, kRounding * norm_sq));
  }
  return result;
}

}  // namespace difftune
