// Truncation against LAPACK's full SVD, on matrices whose singular values fall slowly, quickly and not at all.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/linalg_qr.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "weight_tools/leading_svd.h"

namespace difftune {
namespace {

at::Tensor normal(int64_t rows, int64_t columns, uint64_t seed) {
  return at::randn({rows, columns}, at::detail::createCPUGenerator(seed), at::TensorOptions().dtype(at::kFloat));
}

double norm(const at::Tensor& tensor) { return at::linalg_vector_norm(tensor).item<double>(); }

at::Tensor product(const TruncatedSvd& svd) { return at::mm(svd.u * svd.s, svd.vh); }

void expect_orthonormal(const TruncatedSvd& svd) {
  const at::Tensor identity = at::eye(svd.rank());
  EXPECT_LT(norm(at::mm(svd.u.t(), svd.u) - identity), 1e-4);
  EXPECT_LT(norm(at::mm(svd.vh, svd.vh.t()) - identity), 1e-4);
}

// The error is as small as that of LAPACK's SVD; where no singular value stands out the matrix may be another one.
LeadingSvd expect_as_good_as_lapack(const at::Tensor& matrix, int64_t rank) {
  SCOPED_TRACE(fmt::format("{}x{} to rank {}", matrix.size(0), matrix.size(1), rank));
  LeadingSvd found = leading_svd(matrix, rank, 0);
  const double error = norm(matrix - product(found.svd)), smallest = norm(matrix - product(exact_svd(matrix, rank)));
  EXPECT_FALSE(found.is_exact);
  EXPECT_LE(error, 1.001 * smallest);
  EXPECT_LE(error, (found.excess + 1e-5) * smallest);
  EXPECT_LE(found.excess, 1.001);
  EXPECT_NEAR(found.residual, error / norm(matrix), 1e-4);
  expect_orthonormal(found.svd);
  return found;
}

void expect_like_lapack(const at::Tensor& matrix, int64_t rank) {
  const TruncatedSvd found = expect_as_good_as_lapack(matrix, rank).svd, exact = exact_svd(matrix, rank);
  EXPECT_LT(norm(product(found) - product(exact)), 5e-3 * norm(product(exact)));
}

// Random orthonormal vectors with the singular values (i + 1)^power.
at::Tensor with_falling_values(int64_t size, double power) {
  const at::Tensor values = at::pow(at::arange(1, size + 1, at::TensorOptions().dtype(at::kFloat)), power);
  const at::Tensor u = std::get<0>(at::linalg_qr(normal(size, size, 1)));
  return at::mm(u * values, std::get<0>(at::linalg_qr(normal(size, size, 2))));
}

TEST(LowRank, ProductOfThinFactors) {
  for (const auto& [rows, columns, rank] : {std::tuple{40, 60, 4}, {60, 40, 8}, {6, 50, 10}}) {
    const at::Tensor up = normal(rows, rank, 1), down = normal(rank, columns, 2);
    const TruncatedSvd svd = svd_of_product(up, down);
    EXPECT_EQ(svd.rank(), std::min({rows, columns, rank}));
    EXPECT_LT(norm(product(svd) - at::mm(up, down)), 1e-4 * norm(up));
    const TruncatedSvd exact = exact_svd(at::mm(up, down), svd.rank());
    EXPECT_LT(norm(svd.s - exact.s), 1e-4 * norm(exact.s));
    expect_orthonormal(svd);
  }
}

TEST(LowRank, LeadingValuesOfNoise) {
  expect_as_good_as_lapack(normal(480, 480, 3), 4);
  expect_as_good_as_lapack(normal(700, 420, 4), 4);
  expect_as_good_as_lapack(normal(600, 900, 5), 4);
  expect_as_good_as_lapack(normal(640, 640, 6), 1);
  expect_as_good_as_lapack(normal(640, 640, 7), 24);
}

TEST(LowRank, LeadingValuesThatFallSlowly) {
  for (const double power : {-0.1, -0.5, -1.0, -2.0}) {
    SCOPED_TRACE(power);
    expect_as_good_as_lapack(with_falling_values(500, power), 4);
    expect_as_good_as_lapack(with_falling_values(500, power), 16);
  }
}

TEST(LowRank, LeadingValuesOfAChangeInNoise) {
  const at::Tensor change = at::mm(normal(500, 8, 6), normal(8, 400, 7));
  expect_like_lapack(change + 0.01 * normal(500, 400, 8), 8);
  expect_like_lapack(change + 0.01 * normal(500, 400, 8), 4);
}

TEST(LowRank, MatrixOfThatRank) {
  const at::Tensor change = at::mm(normal(500, 3, 6), normal(3, 400, 7));
  const LeadingSvd found = leading_svd(change, 4, 0);
  EXPECT_LT(norm(product(found.svd) - change), 1e-5 * norm(change));
  EXPECT_LT(found.residual, 1e-3);  // the root of what rounding leaves of the squared norm
}

TEST(LowRank, NoChange) {
  const LeadingSvd found = leading_svd(at::zeros({400, 500}), 4, 0);
  EXPECT_EQ(norm(found.svd.s), 0);
  EXPECT_EQ(found.residual, 0);
  EXPECT_EQ(found.svd.rank(), 4);
}

TEST(LowRank, MoreThanThereIs) {
  TruncatedSvd svd = svd_of_product(normal(20, 2, 1), normal(2, 30, 2));
  const at::Tensor before = product(svd);
  extend_with_zeros(svd, 6, 0);
  EXPECT_EQ(svd.rank(), 6);
  EXPECT_LT(norm(product(svd) - before), 1e-4);
  expect_orthonormal(svd);
}

TEST(LowRank, QuantileOfBothTensors) {
  // numpy.quantile([1, 2, 3, 4, 10], [0, 0.5, 0.9, 1])
  const at::Tensor a = at::tensor({4.0f, 1.0f, 10.0f}), b = at::tensor({3.0f, 2.0f});
  EXPECT_FLOAT_EQ(joint_quantile(a, b, 0), 1);
  EXPECT_FLOAT_EQ(joint_quantile(a, b, 0.5), 3);
  EXPECT_FLOAT_EQ(joint_quantile(a, b, 0.9), 7.6f);
  EXPECT_FLOAT_EQ(joint_quantile(a, b, 1), 10);
}

}  // namespace
}  // namespace difftune
