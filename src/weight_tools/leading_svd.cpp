#include "weight_tools/leading_svd.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_qr.h>
#include <ATen/ops/linalg_svd.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "weight_tools/lapack_like_svd.h"

namespace difftune {
namespace {

// What ends the iteration: the squared error is known to be at most 1 + this times the smallest possible.
constexpr double kTolerance = 1e-3;
// Squared singular values are known to this share of their sum.
constexpr double kRounding = 1e-7;

at::Tensor random_normal(int64_t rows, int64_t columns, uint64_t seed) {
  return at::randn({rows, columns}, at::detail::createCPUGenerator(seed), at::TensorOptions().dtype(at::kFloat));
}

double squared_norm(const at::Tensor& tensor) {
  const double norm = at::linalg_vector_norm(tensor, 2, std::nullopt, false, at::kDouble).item<double>();
  return norm * norm;
}

// Orthonormal rows that are kept in one growing block of memory.
class Basis {
 public:
  Basis(int64_t max_rows, int64_t columns) : rows_(at::empty({max_rows, columns}, at::kFloat)) {}

  at::Tensor all() const { return rows_.narrow(0, 0, size_); }
  at::Tensor last(int64_t count) const { return rows_.narrow(0, size_ - count, count); }
  int64_t size() const { return size_; }

  // Takes what lies in the basis out of the rows of `block`, then appends an orthonormal basis of what is left.
  // Returns R of block = R^T-combinations of the new rows: block^T = new^T R.
  at::Tensor append(at::Tensor block) {
    for (int pass = 0; pass < 2 && size_ > 0; ++pass) {  // twice is enough (Kahan)
      block = block - at::mm(at::mm(block, all().t()), all());
    }
    const auto [q, r] = at::linalg_qr(block.t());
    rows_.narrow(0, size_, block.size(0)).copy_(q.t());
    size_ += block.size(0);
    return r;
  }

 private:
  at::Tensor rows_;
  int64_t size_ = 0;
};

// The Ritz values and vectors of the bidiagonal block matrix.
struct Ritz {
  at::Tensor p, s, q;  // B = p diag(s) q
  double kept = 0;     // sum of the first squares
  double missed = 0;   // at most this much more is in the first squares of A's singular values
};

// A^T u - s v of a Ritz triple has the norm r, while A v = s u: A^T A v is off by s r. Such an eigenvalue moves by s r
// at most, and by (s r)^2 / gap where the next one is known to be farther away (Kato and Temple).
Ritz solve(const at::Tensor& b, const at::Tensor& last_coupling, int64_t rank) {
  Ritz ritz;
  std::tie(ritz.p, ritz.s, ritz.q) = at::linalg_svd(b, /*full_matrices=*/false);
  const int64_t block = last_coupling.size(0), count = std::min(rank + 1, b.size(0));
  const at::Tensor tail = ritz.p.narrow(0, ritz.p.size(0) - block, block).narrow(1, 0, count);
  const at::Tensor residuals =
      at::linalg_vector_norm(at::mm(last_coupling, tail), 2, at::IntArrayRef{0}).to(at::kDouble).contiguous();
  const at::Tensor values = ritz.s.to(at::kDouble).contiguous();
  const double* s = values.const_data_ptr<double>();
  const double* r = residuals.const_data_ptr<double>();
  const double next = count > rank ? s[rank] * s[rank] + s[rank] * r[rank] : 0;
  for (int64_t i = 0; i < rank; ++i) {
    const double shift = s[i] * r[i], gap = s[i] * s[i] - next;
    ritz.kept += s[i] * s[i];
    ritz.missed += gap > shift ? shift * shift / gap : shift;
  }
  return ritz;
}

// When to look again: from how fast what is missed fell.
int64_t steps_to_next_check(double missed, double previous, double allowed, int64_t steps_between) {
  if (previous <= missed || previous == 0) return 1;
  const double rate = std::log(previous / missed) / static_cast<double>(steps_between);
  return std::clamp<int64_t>(static_cast<int64_t>(std::ceil(std::log(missed / allowed) / rate)), 1, 8);
}

double residual_of(const TruncatedSvd& svd, double norm_sq) {
  return norm_sq > 0 ? std::sqrt(std::max(0.0, norm_sq - squared_norm(svd.s)) / norm_sq) : 0;
}

LeadingSvd by_lapack(const at::Tensor& matrix, int64_t rank, double norm_sq) {
  LeadingSvd result{.svd = exact_svd(matrix, rank), .is_exact = true, .has_lapack_signs = true};
  result.residual = residual_of(result.svd, norm_sq);
  return result;
}

}  // namespace

LeadingSvd leading_svd(const at::Tensor& matrix, int64_t rank, uint64_t seed, bool exact) {
  const int64_t m = matrix.size(0), n = matrix.size(1), side = std::min(m, n);
  const double norm_sq = squared_norm(matrix);
  const int64_t block = std::clamp<int64_t>(rank, matrix.numel() > (4 << 20) ? 16 : 8, 32);
  // Beyond this size of the Krylov space the exact SVD is cheaper.
  const int64_t max_size = side * 2 / 5 / block * block;
  const bool is_too_small = side <= kSmallSide || max_size < 2 * rank + 2 * block;
  if (exact || is_too_small || norm_sq == 0) return by_lapack(matrix, rank, norm_sq);
  if (auto svd = lapack_like_svd(matrix, rank, seed)) {
    const double residual = residual_of(*svd, norm_sq);
    return {.svd = std::move(*svd), .residual = residual, .has_lapack_signs = true};
  }

  Basis left(max_size, m), right(max_size + block, n);
  at::Tensor b = at::zeros({max_size, max_size}, at::kFloat);
  right.append(random_normal(block, n, seed));
  at::Tensor coupling;  // A^T U_j = V_j R_j^T + V_{j+1} coupling
  int64_t next_check = rank + 2 * block, checked_at = 0;
  double previous = 0;
  while (left.size() < max_size) {
    const int64_t at = left.size();
    const at::Tensor r = left.append(at::mm(right.last(block), matrix.t()));
    b.narrow(0, at, block).narrow(1, at, block).copy_(r);
    if (at > 0) b.narrow(0, at - block, block).narrow(1, at, block).copy_(coupling.t());
    coupling = right.append(at::mm(left.last(block), matrix));
    const int64_t size = left.size();
    // A matrix of low rank is used up: what follows would be noise.
    const bool is_used_up = squared_norm(coupling) <= 1e-12 * norm_sq;
    if (is_used_up && size < rank) break;
    if (!is_used_up && size < next_check && size + block <= max_size) continue;

    const Ritz ritz = solve(b.narrow(0, 0, size).narrow(1, 0, size), coupling, rank);
    const double lost = std::max(norm_sq - ritz.kept, kRounding * norm_sq), allowed = kTolerance * lost;
    if (ritz.missed <= allowed || is_used_up) {
      LeadingSvd result;
      result.svd.u = at::mm(left.all().t(), ritz.p.narrow(1, 0, rank));
      result.svd.s = ritz.s.narrow(0, 0, rank).contiguous();
      result.svd.vh = at::mm(ritz.q.narrow(0, 0, rank), right.all().narrow(0, 0, size));
      result.residual = std::sqrt(std::max(0.0, norm_sq - ritz.kept) / norm_sq);
      result.excess = std::sqrt(lost / (lost - std::min(ritz.missed, allowed)));
      return result;
    }
    next_check = size + block * steps_to_next_check(ritz.missed, previous, allowed, (size - checked_at) / block);
    previous = ritz.missed;
    checked_at = size;
  }
  return by_lapack(matrix, rank, norm_sq);
}

}  // namespace difftune
