#include "weight_tools/lapack_like_svd.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorAccessor.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/linalg_qr.h>
#include <ATen/ops/linalg_svd.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/mv.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

namespace difftune {
namespace {

// The block that is looked at first has this many more rows than vectors are wanted.
constexpr int64_t kExtraSteps = 28;
// LAPACK's divide and conquer (?bdsdc) halves the matrix down to this size.
constexpr int64_t kLeafSize = 25;
// A block holds a vector where less than this part of it reaches the block's end: divide and conquer drops as little.
constexpr double kReachesEnd = 2e-6;
// What is below this share of the largest value is rounding.
constexpr double kRounding = 2e-6;
// Of the length of a vector, how much two of one triple have in common.
constexpr double kOverlap = 0.9;
// How much a value that was not seen may exceed the last one that was.
constexpr double kUnseen = 1.01;

double norm(const at::Tensor& x) { return at::linalg_vector_norm(x).item<double>(); }

// Orthonormal rows.
class Basis {
 public:
  Basis(int64_t max_rows, int64_t columns)
      : rows_(at::zeros({max_rows, columns}, at::TensorOptions().dtype(at::kFloat))) {}

  // Takes what lies in the basis out of `x`, and adds the rest, which is scaled by its length. Returns that length, or
  // 0, and adds nothing, where it is no more than `rounding`.
  double add(at::Tensor x, double rounding) {
    if (size_ > 0) {
      const at::Tensor all = rows();
      for (int pass = 0; pass < 2; ++pass) x = x - at::mv(all.t(), at::mv(all, x));  // twice is enough (Kahan)
    }
    const double length = norm(x);
    if (length <= rounding) return 0;
    rows_.select(0, size_++).copy_(x / length);
    return length;
  }

  at::Tensor rows() const { return rows_.narrow(0, 0, size_); }
  at::Tensor last() const { return rows_.select(0, size_ - 1); }
  int64_t size() const { return size_; }

 private:
  at::Tensor rows_;
  int64_t size_ = 0;
};

// Bidiagonalises a matrix [m, n] from its first column on, with positive values.
class Bidiagonalisation {
 public:
  Bidiagonalisation(const at::Tensor& matrix, int64_t max_steps)
      : matrix_(matrix),
        left_(max_steps, matrix.size(0)),
        right_(max_steps, matrix.size(1)),
        b_(at::zeros({max_steps, max_steps}, at::TensorOptions().dtype(at::kFloat))) {
    at::Tensor first = at::zeros({matrix.size(1)}, at::TensorOptions().dtype(at::kFloat));
    first[0] = 1;
    right_.add(first, 0);
  }

  void continue_to(int64_t steps) {
    while (!is_used_up_ && left_.size() < steps) {
      const int64_t i = left_.size();
      if (right_.size() == i && !add(right_, at::mv(matrix_.t(), left_.last()), b_[i - 1][i])) break;
      if (!add(left_, at::mv(matrix_, right_.last()), b_[i][i])) break;
    }
  }

  // Beyond this, nothing but rounding is left of the matrix.
  bool is_used_up() const { return is_used_up_; }
  int64_t size() const { return left_.size(); }
  at::Tensor left() const { return left_.rows(); }
  at::Tensor right() const { return right_.rows().narrow(0, 0, size()); }
  at::Tensor b(int64_t size) const { return b_.narrow(0, 0, size).narrow(1, 0, size); }

 private:
  bool add(Basis& basis, const at::Tensor& x, at::Tensor value) {
    const double length = basis.add(x, kRounding * largest_);
    value.fill_(length);
    largest_ = std::max(largest_, length);
    is_used_up_ = length == 0;
    return !is_used_up_;
  }

  at::Tensor matrix_;
  Basis left_, right_;
  at::Tensor b_;  // upper bidiagonal
  double largest_ = 0;
  bool is_used_up_ = false;
};

// Which signs Householder's reflectors give orthonormal columns: `top` [k, k] is their first k rows, and -1 says that
// H_0 ... H_i e_i is the opposite of column i. By the LU decomposition that makes reflectors out of such columns
// (Ballard et al., "Reconstructing Householder vectors from TSQR", 2014, algorithm 5).
at::Tensor householder_signs(const at::Tensor& top) {
  const int64_t count = top.size(0);
  at::Tensor lu = top.to(at::kDouble).contiguous().clone();
  at::Tensor signs = at::ones({count}, lu.options());
  auto a = lu.accessor<double, 2>();
  auto sign = signs.accessor<double, 1>();
  for (int64_t i = 0; i < count; ++i) {
    // A reflector turns its column to the other side, but one with nothing below the diagonal is left alone.
    const bool is_left_alone = 1 - std::abs(a[i][i]) < kRounding;
    sign[i] = std::copysign(1.0, is_left_alone ? a[i][i] : -a[i][i]);
    if (is_left_alone) continue;
    a[i][i] -= sign[i];
    for (int64_t row = i + 1; row < count; ++row) {
      const double factor = a[row][i] / a[i][i];
      for (int64_t column = i + 1; column < count; ++column) a[row][column] -= factor * a[i][column];
    }
  }
  return signs.to(at::kFloat);
}

// Of U, in the basis in which ?gebrd sees the matrix: its own, or that of its QR's Q.
at::Tensor left_signs(const at::Tensor& matrix, const at::Tensor& left, bool has_qr) {
  const int64_t count = left.size(0);
  if (!has_qr) return householder_signs(left.narrow(1, 0, count).t());
  const at::Tensor q = std::get<0>(at::linalg_qr(matrix.narrow(1, 0, count)));
  return householder_signs(at::mm(q.t(), left.t()));
}

// The first reflector from the right belongs to the second column.
at::Tensor right_signs(const at::Tensor& right) {
  const int64_t count = right.size(0);
  at::Tensor signs = at::ones({count}, right.options());
  if (count > 1) {
    signs.narrow(0, 1, count - 1)
        .copy_(householder_signs(right.narrow(0, 1, count - 1).narrow(1, 1, count - 1).t()));
  }
  return signs;
}

// The largest value of A (I - V V^T) as far as a few power iterations tell.
double largest_unseen(const at::Tensor& matrix, const at::Tensor& vh, uint64_t seed) {
  constexpr int64_t kVectors = 4;
  constexpr int kIterations = 4;
  at::Tensor x = at::randn({matrix.size(1), kVectors}, at::detail::createCPUGenerator(seed), matrix.options());
  double largest = 0;
  for (int i = 0; i < kIterations; ++i) {
    x = x - at::mm(vh.t(), at::mm(vh, x));
    x = x / at::linalg_vector_norm(x, 2, at::IntArrayRef{0}, /*keepdim=*/true).clamp_min(1e-30);
    const at::Tensor y = at::mm(matrix, x);
    largest = at::linalg_vector_norm(y, 2, at::IntArrayRef{0}).max().item<double>();
    x = at::mm(matrix.t(), y);
  }
  return largest;
}

// Sizes of leading blocks that ?bdsdc divides as it does the whole, beginning with the smallest that is of use.
int64_t first_size(int64_t side, int64_t rank) {
  int64_t size = side;
  while (size > kLeafSize && size / 2 >= rank + kExtraSteps) size /= 2;
  return size;
}
int64_t next_size(int64_t side, int64_t size) {
  int64_t next = side;
  while (next / 2 > size) next /= 2;
  return next;
}

at::Tensor reach_to_end(const at::Tensor& vectors_of_rows) {
  return at::linalg_vector_norm(vectors_of_rows.narrow(1, vectors_of_rows.size(1) - 2, 2), 2, at::IntArrayRef{1}).max();
}

// Of a matrix that is not wide, or of the transpose of one that is.
std::optional<TruncatedSvd> from_leading_block(const at::Tensor& matrix, int64_t rank, bool is_transposed) {
  const int64_t m = matrix.size(0), n = matrix.size(1), max_size = n / 2;
  Bidiagonalisation found(matrix, max_size);
  for (int64_t size = first_size(n, rank); size <= max_size; size = next_size(n, size)) {
    found.continue_to(size);
    const int64_t steps = found.size();
    if (steps < rank) return std::nullopt;
    const auto [p0, s0, q0] = at::linalg_svd(found.b(size), /*full_matrices=*/false);
    const bool is_held = reach_to_end(q0.narrow(0, 0, rank)).item<double>() < kReachesEnd &&
                         reach_to_end(p0.t().narrow(0, 0, rank)).item<double>() < kReachesEnd;
    if (!found.is_used_up() && !is_held) continue;

    const bool has_qr = !is_transposed && 2 * m >= 3 * n;
    const at::Tensor signs_left = left_signs(matrix, found.left(), has_qr);
    const at::Tensor signs_right = right_signs(found.right());
    at::Tensor b = found.b(size).clone();
    b.narrow(0, 0, steps).narrow(1, 0, steps).mul_(signs_left.unsqueeze(1)).mul_(signs_right);
    // A wide matrix becomes lower bidiagonal: that of its transpose, with all signs turned on the way to an upper one.
    const auto [p, s, q] = at::linalg_svd(is_transposed ? b.t() : b, /*full_matrices=*/false);
    const at::Tensor in_left = is_transposed ? -q : p.t(), in_right = is_transposed ? -p.t() : q;
    const auto vectors = [&](const at::Tensor& in_basis, const at::Tensor& basis, const at::Tensor& signs) {
      return at::mm(in_basis.narrow(0, 0, rank).narrow(1, 0, steps) * signs, basis);
    };
    const at::Tensor u = vectors(in_left, found.left(), signs_left);
    const at::Tensor v = vectors(in_right, found.right(), signs_right);
    const at::Tensor values = s.narrow(0, 0, rank).contiguous();
    return is_transposed ? TruncatedSvd{v.t().contiguous(), values, u} : TruncatedSvd{u.t().contiguous(), values, v};
  }
  return std::nullopt;
}

}  // namespace

std::optional<TruncatedSvd> lapack_like_svd(const at::Tensor& matrix, int64_t rank, uint64_t seed) {
  const bool is_wide = matrix.size(0) < matrix.size(1);
  if (std::min(matrix.size(0), matrix.size(1)) <= kSmallSide) return std::nullopt;
  auto svd = from_leading_block(is_wide ? matrix.t() : matrix, rank, is_wide);
  if (!svd) return svd;
  const double last = svd->s[rank - 1].item<double>();
  const double rounding = kRounding * svd->s[0].item<double>();
  if (largest_unseen(matrix, svd->vh, seed) > kUnseen * last + rounding) return std::nullopt;
  return svd;
}

bool take_lapack_signs(const at::Tensor& matrix, TruncatedSvd& svd) {
  const auto found = lapack_like_svd(matrix, svd.rank(), /*seed=*/0);
  if (!found) return false;
  const at::Tensor overlap = (found->vh * svd.vh).sum(1);
  if (overlap.abs().min().item<double>() < kOverlap) return false;
  svd.u = svd.u * overlap.sign();
  svd.vh = svd.vh * overlap.sign().unsqueeze(1);
  return true;
}

}  // namespace difftune
