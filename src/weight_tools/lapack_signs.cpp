#include "weight_tools/lapack_signs.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linalg_svd.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/mv.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

namespace difftune {
namespace {

// So many more rows of the bidiagonal matrix than vectors are looked at.
constexpr int64_t kExtraSteps = 28;
// Beyond this share of the smaller side LAPACK itself is as fast.
constexpr int64_t kSmallestShare = 4;
// LAPACK's divide and conquer (?bdsdc) halves the matrix down to this size.
constexpr int64_t kLeafSize = 25;
// Of the length of a vector, how much the leading block must give.
constexpr double kOverlap = 0.9;
// What is below this share of a vector is rounding.
constexpr double kRounding = 1e-5;

at::TensorOptions in_double() { return at::TensorOptions().dtype(at::kDouble); }

// H_0 ... H_k of Householder vectors as ?geqrf makes them, in the form I - V T V^T (Schreiber & Van Loan).
class Reflectors {
 public:
  Reflectors(int64_t length, int64_t max_count)
      : v_(at::zeros({max_count, length}, in_double())), t_(at::zeros({max_count, max_count}, in_double())) {}

  // H_k ... H_0 x.
  at::Tensor apply(const at::Tensor& x) const { return x - at::mv(v().t(), at::mv(t().t(), at::mv(v(), x))); }
  // H_0 ... H_k e_i.
  at::Tensor unit(int64_t i) const {
    at::Tensor result = -at::mv(v().t(), at::mv(t(), v().select(1, i)));
    result[i] += 1;
    return result;
  }
  // Adds the reflector that leaves the first `first` values of `x` (to which the others are applied already) and turns
  // the rest into one value, which is returned.
  double add(const at::Tensor& x, int64_t first) {
    at::Tensor row = v_.select(0, count_);
    row.narrow(0, first, row.size(0) - first).copy_(x.narrow(0, first, x.size(0) - first));
    const double alpha = row[first].item<double>();
    row[first] = 0;
    const double rest = at::linalg_vector_norm(row).item<double>();
    double beta = alpha, tau = 0;
    if (rest > kRounding * std::abs(alpha)) {
      beta = -std::copysign(std::hypot(alpha, rest), alpha);
      tau = (beta - alpha) / beta;
      row.div_(alpha - beta);
    } else {
      row.zero_();
    }
    row[first] = 1;
    if (count_ > 0) t_.select(1, count_).narrow(0, 0, count_).copy_(at::mv(t(), at::mv(v(), row)) * -tau);
    t_[count_][count_] = tau;
    ++count_;
    return beta;
  }

 private:
  at::Tensor v() const { return v_.narrow(0, 0, count_); }
  at::Tensor t() const { return t_.narrow(0, 0, count_).narrow(1, 0, count_); }

  at::Tensor v_, t_;
  int64_t count_ = 0;
};

// A matrix by its products with vectors in fp64.
struct Operator {
  int64_t rows = 0, columns = 0;
  std::function<at::Tensor(const at::Tensor&)> times, transposed_times;
};

Operator plain(const at::Tensor& matrix) {
  const auto product = [](const at::Tensor& a, const at::Tensor& x) {
    return at::mv(a, x.to(at::kFloat)).to(at::kDouble);
  };
  return {matrix.size(0), matrix.size(1), [=](const at::Tensor& x) { return product(matrix, x); },
          [=](const at::Tensor& y) { return product(matrix.t(), y); }};
}

// R of the matrix's QR as far as bidiagonalisation sees it: the first rows in the basis of the first reflectors; of the
// others only lengths count, so they stay in the old basis.
Operator with_leading_qr(const at::Tensor& matrix, int64_t count) {
  Reflectors reflectors(matrix.size(0), count);
  for (int64_t i = 0; i < count; ++i) {
    const at::Tensor column = matrix.select(1, i).to(at::kDouble);
    reflectors.add(i == 0 ? column : reflectors.apply(column), i);
  }
  std::vector<at::Tensor> rows;
  for (int64_t i = 0; i < count; ++i) rows.push_back(reflectors.unit(i));
  const at::Tensor q = at::stack(rows);
  const Operator whole = plain(matrix);
  const auto outside = [q](const at::Tensor& y) { return y - at::mv(q.t(), at::mv(q, y)); };
  return {matrix.size(0) + count, matrix.size(1),
          [=](const at::Tensor& x) {
            const at::Tensor y = whole.times(x);
            return at::cat({at::mv(q, y), outside(y)});
          },
          [=](const at::Tensor& y) {
            const at::Tensor inside = at::mv(q.t(), y.narrow(0, 0, count));
            return whole.transposed_times(inside + outside(y.narrow(0, count, y.size(0) - count)));
          }};
}

struct Bidiagonal {
  at::Tensor b;      // [k, k], upper, in fp32
  at::Tensor right;  // its right basis in rows, [k, columns]
};

// The first steps of ?gebrd.
Bidiagonal leading_bidiagonal(const Operator& a, int64_t count) {
  Reflectors left(a.rows, count), right(a.columns, count);
  Bidiagonal result{at::zeros({count, count}, in_double()), at::zeros({count, a.columns}, in_double())};
  result.right[0][0] = 1;
  for (int64_t i = 0; i < count; ++i) {
    const at::Tensor column = a.times(result.right[i]);
    result.b[i][i] = left.add(i == 0 ? column : left.apply(column), i);
    if (i + 1 == count) break;
    const at::Tensor row = a.transposed_times(left.unit(i));
    result.b[i][i + 1] = right.add(i == 0 ? row : right.apply(row), i + 1);
    result.right.select(0, i + 1).copy_(right.unit(i + 1));
  }
  result.b = result.b.to(at::kFloat);
  return result;
}

// A leading part of the matrix that ?bdsdc divides in the same way.
int64_t leading_size(int64_t side, int64_t rank) {
  int64_t size = side;
  while (size > kLeafSize && size / 2 >= rank + kExtraSteps) size /= 2;
  return size;
}

}  // namespace

bool take_lapack_signs(const at::Tensor& matrix, TruncatedSvd& svd) {
  const int64_t m = matrix.size(0), n = matrix.size(1), rank = svd.rank();
  const int64_t count = leading_size(std::min(m, n), rank);
  if (count > std::min(m, n) / kSmallestShare) return false;
  const bool is_wide = m < n, has_qr = 2 * m >= 3 * n;
  const Bidiagonal found = leading_bidiagonal(is_wide  ? plain(matrix.t())
                                              : has_qr ? with_leading_qr(matrix, count)
                                                       : plain(matrix),
                                              count);
  // A wide matrix becomes lower bidiagonal: that of the transposed one, with all signs turned on the way to an upper
  // one.
  const auto [p, s, q] = at::linalg_svd(is_wide ? found.b.t() : found.b, /*full_matrices=*/false);
  const at::Tensor in_basis = (is_wide ? -p.t() : q).narrow(0, 0, rank).to(at::kDouble);
  const at::Tensor vectors = (is_wide ? svd.u.t() : svd.vh).to(at::kDouble);
  const at::Tensor overlap = (at::mm(in_basis, found.right) * vectors).sum(1);
  if (overlap.abs().min().item<double>() < kOverlap) return false;
  const at::Tensor signs = overlap.sign().to(at::kFloat);
  svd.u = svd.u * signs;
  svd.vh = svd.vh * signs.unsqueeze(1);
  return true;
}

}  // namespace difftune
