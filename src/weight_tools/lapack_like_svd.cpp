#include "weight_tools/lapack_like_svd.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorAccessor.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/add.h>
#include <ATen/ops/linalg_qr.h>
#include <ATen/ops/linalg_svd.h>
#include <ATen/ops/linalg_svdvals.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/mv.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "weight_tools/row_sweep.h"

namespace difftune {
namespace {

// The block that is looked at first has this many more rows than vectors are wanted.
constexpr int64_t kExtraSteps = 28;
// LAPACK's divide and conquer (?bdsdc) halves the matrix down to this size.
constexpr int64_t kLeafSize = 25;
// A block holds a vector where less than this part of it reaches the block's end: divide and conquer drops as little.
constexpr double kReachesEnd = 2e-6;
// What is below this share of the largest value is rounding.
constexpr double kRounding = 1e-5;
// What LAPACK's own rounding leaves in place of zeros, as a share of the largest value. Its size decides nothing; that
// it is there does: the QR iteration goes another way through zeros.
constexpr double kLapackRounding = 3e-7;
// Of the length of a vector, how much two of one triple have in common.
constexpr double kOverlap = 0.9;
// The noise in which signs are tried, as a share of the largest value: a few times what LAPACK's rounding is.
constexpr double kNoise = 1e-6;
// How much a value that was not seen may exceed the last one that was.
constexpr double kUnseen = 1.01;

double norm(const at::Tensor& x) { return at::linalg_vector_norm(x).item<double>(); }

at::Tensor zeros(at::IntArrayRef shape) { return at::zeros(shape, at::TensorOptions().dtype(at::kFloat)); }

// Orthonormal rows.
class Basis {
 public:
  Basis(int64_t max_rows, int64_t columns) : rows_(zeros({max_rows, columns})), products_(max_rows) {}

  // Takes what lies in the basis out of `x`, and adds the rest, scaled to length 1. Returns its length, or 0, and adds
  // nothing, where it is no more than `rounding`.
  double add(at::Tensor x, double rounding) {
    for (int pass = 0; pass < 2; ++pass) {  // twice is enough (Kahan)
      sweep_rows(rows_.const_data_ptr<float>(), size_, rows_.size(1), x.const_data_ptr<float>(), -1, products_.data(),
                 x.mutable_data_ptr<float>());
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
  std::vector<float> products_;
  int64_t size_ = 0;
};

// A x and A^T A x of a contiguous A.
std::pair<at::Tensor, at::Tensor> products(const at::Tensor& a, const at::Tensor& x) {
  at::Tensor y = zeros({a.size(0)}), z = zeros({a.size(1)});
  sweep_rows(a.const_data_ptr<float>(), a.size(0), a.size(1), x.const_data_ptr<float>(), 1, y.mutable_data_ptr<float>(),
             z.mutable_data_ptr<float>());
  return {y, z};
}

// Bidiagonalises a contiguous matrix [m, n] from its first column on, with positive values.
class Bidiagonalisation {
 public:
  Bidiagonalisation(const at::Tensor& matrix, int64_t max_steps)
      : matrix_(matrix),
        left_(max_steps, matrix.size(0)),
        right_(max_steps + 1, matrix.size(1)),
        b_(zeros({max_steps, max_steps + 1})) {
    at::Tensor first = zeros({matrix.size(1)});
    first[0] = 1;
    right_.add(first, 0);
  }

  void continue_to(int64_t steps) {
    while (!is_used_up_ && left_.size() < steps) {
      const int64_t i = left_.size();
      auto [y, z] = products(matrix_, right_.last());
      const double length = norm(y), new_length = left_.add(y, kRounding * largest_);
      if (!set(i, i, new_length)) return;
      // A^T u of the new row u. y is u's multiple and what u's predecessor has of it, whose product lies in the basis.
      // Where the former is small, its product is too imprecise.
      z = new_length > kLargePart * length ? z / new_length : at::mv(matrix_.t(), left_.last());
      if (!set(i, i + 1, right_.add(z, kRounding * largest_))) return;
    }
  }

  // Beyond this, nothing but rounding is left of the matrix.
  bool is_used_up() const { return is_used_up_; }
  int64_t size() const { return left_.size(); }
  at::Tensor left() const { return left_.rows(); }
  at::Tensor right() const { return right_.rows().narrow(0, 0, size()); }
  // With the column after the last.
  double coupling() const { return is_used_up_ ? 0 : b_[size() - 1][size()].item<double>(); }
  // The leading block, with positive values; beyond the steps that were made as if it went on in the same way, or as if
  // LAPACK had made it of what is rounding.
  at::Tensor b(int64_t size) const {
    at::Tensor block = b_.narrow(0, 0, size).narrow(1, 0, size).clone();
    const int64_t steps = left_.size();
    const at::Scalar rounding = kLapackRounding * largest_;
    for (int64_t i = steps; i < size; ++i) {
      block[i][i] = is_used_up_ ? rounding : b_[steps - 1][steps - 1].item();
      if (i > 0 && (is_used_up_ || i > steps)) block[i - 1][i] = is_used_up_ ? rounding : b_[steps - 1][steps].item();
    }
    return block;
  }

 private:
  static constexpr double kLargePart = 0.1;

  bool set(int64_t row, int64_t column, double value) {
    b_[row][column] = value;
    largest_ = std::max(largest_, value);
    is_used_up_ = value == 0;
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
    signs.narrow(0, 1, count - 1).copy_(householder_signs(right.narrow(0, 1, count - 1).narrow(1, 1, count - 1).t()));
  }
  return signs;
}

// The largest singular value of A (I - V V^T), from below: the largest Ritz value of a few Lanczos steps from a random
// start, which find every value that stands out.
double largest_unseen(const at::Tensor& matrix, const at::Tensor& vh, uint64_t seed) {
  constexpr int64_t kSteps = 10;
  Basis basis(vh.size(0) + kSteps, vh.size(1));
  for (int64_t i = 0; i < vh.size(0); ++i) basis.add(vh[i].clone(), 0);
  at::Tensor next = at::randn({vh.size(1)}, at::detail::createCPUGenerator(seed), vh.options());
  at::Tensor images = zeros({kSteps, matrix.size(0)});
  for (int64_t i = 0; i < kSteps && basis.add(next, 0) > 0; ++i) {
    const auto [y, z] = products(matrix, basis.last());
    images[i].copy_(y);
    next = z;
  }
  return at::linalg_svdvals(images).max().item<double>();
}

struct Look {
  int64_t size, steps;
};

// When to look whether a leading block holds the vectors: sizes that ?bdsdc divides as it does the whole, beginning
// with the smallest that is of use. A step reads the whole matrix, so that large blocks are looked at before they are
// full.
std::vector<Look> looks(int64_t side, int64_t rank) {
  constexpr int64_t kLarge = 128;
  std::vector<Look> looks;
  for (int64_t size = side / 2; size >= rank + kExtraSteps; size /= 2) {
    looks.push_back({size, size});
    if (size >= kLarge && size * 3 / 4 >= rank + kExtraSteps) looks.push_back({size, size * 3 / 4});
    if (size <= kLeafSize) break;
  }
  std::reverse(looks.begin(), looks.end());
  return looks;
}

// The largest part of vectors in rows that lies in the two places before `end` or behind them.
double reach_to_end(const at::Tensor& rows, int64_t end) {
  const at::Tensor last = rows.narrow(1, end - 2, rows.size(1) - end + 2);
  return at::linalg_vector_norm(last, 2, at::IntArrayRef{1}).max().item<double>();
}

struct Found {
  LapackLikeSvd result;
  bool is_used_up = false;
};

// Of a contiguous matrix that is not wide, or of the transpose of one that is.
std::optional<Found> from_leading_block(const at::Tensor& matrix, int64_t rank, bool is_transposed) {
  const int64_t m = matrix.size(0), n = matrix.size(1), max_size = n / 2;
  Bidiagonalisation found(matrix, max_size);
  for (const auto& [size, wanted_steps] : looks(n, rank)) {
    found.continue_to(wanted_steps);
    const int64_t steps = found.size();
    if (steps < rank) return std::nullopt;
    const auto [p0, s0, q0] = at::linalg_svd(found.b(size), /*full_matrices=*/false);
    const auto is_held = [&](const at::Tensor& rows) {
      return reach_to_end(rows.narrow(0, 0, rank), steps) < kReachesEnd;
    };
    if (!found.is_used_up() && !(is_held(q0) && is_held(p0.t()))) continue;

    const bool has_qr = !is_transposed && 2 * m >= 3 * n;
    const at::Tensor signs_left = left_signs(matrix, found.left(), has_qr);
    const at::Tensor signs_right = right_signs(found.right());
    at::Tensor b = found.b(size);
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
    Found result;
    result.is_used_up = found.is_used_up();
    result.result.svd =
        is_transposed ? TruncatedSvd{v.t().contiguous(), values, u} : TruncatedSvd{u.t().contiguous(), values, v};
    // A^T u - s v is the coupling to the next column times the end of u: a value is larger by that much at most.
    const at::Tensor residuals = found.coupling() * in_left.narrow(0, 0, rank).select(1, steps - 1).abs();
    result.result.missed = ((2 * values + residuals) * residuals).sum().item<double>();
    return result;
  }
  return std::nullopt;
}

// The smallest part that vectors of the same place have in common; negative where one is turned.
double smallest_overlap(const TruncatedSvd& a, const TruncatedSvd& b) {
  return (a.vh * b.vh).sum(1).min().item<double>();
}

// Of a matrix whose rank is used up, whether its signs stay in a little noise. Where they do not, LAPACK's hang on its
// rounding.
bool has_stable_signs(const at::Tensor& matrix, const TruncatedSvd& svd, bool is_transposed, uint64_t seed) {
  const double spread = kNoise * svd.s[0].item<double>() / std::sqrt(static_cast<double>(matrix.size(0)));
  const at::Tensor noise = at::randn(matrix.sizes(), at::detail::createCPUGenerator(seed), matrix.options());
  const auto other = from_leading_block(at::add(matrix, noise, spread), svd.rank(), is_transposed);
  return other && smallest_overlap(svd, other->result.svd) > kOverlap;
}

}  // namespace

std::optional<LapackLikeSvd> lapack_like_svd(const at::Tensor& matrix, int64_t rank, uint64_t seed) {
  const bool is_wide = matrix.size(0) < matrix.size(1);
  if (std::min(matrix.size(0), matrix.size(1)) <= kSmallSide) return std::nullopt;
  const at::Tensor tall = (is_wide ? matrix.t() : matrix).contiguous();
  const auto found = from_leading_block(tall, rank, is_wide);
  if (!found) return std::nullopt;
  const TruncatedSvd& svd = found->result.svd;
  const double first = svd.s[0].item<double>(), last = svd.s[rank - 1].item<double>();
  if (last <= kRounding * first) return std::nullopt;
  const at::Tensor right = is_wide ? svd.u.t().contiguous() : svd.vh;
  if (largest_unseen(tall, right, seed) > kUnseen * last) return std::nullopt;
  if (found->is_used_up && !has_stable_signs(tall, svd, is_wide, seed)) return std::nullopt;
  return found->result;
}

bool take_lapack_signs(const at::Tensor& matrix, TruncatedSvd& svd) {
  const auto found = lapack_like_svd(matrix, svd.rank(), /*seed=*/0);
  if (!found) return false;
  const at::Tensor overlap = (found->svd.vh * svd.vh).sum(1);
  if (overlap.abs().min().item<double>() < kOverlap) return false;
  svd.u = svd.u * overlap.sign();
  svd.vh = svd.vh * overlap.sign().unsqueeze(1);
  return true;
}

}  // namespace difftune
