// Leading triples and their signs against those of LAPACK's full SVD.
#include "weight_tools/lapack_like_svd.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/linalg_qr.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace difftune {
namespace {

double largest(const at::Tensor& tensor) { return tensor.abs().max().item<double>(); }

at::Tensor normal(int64_t rows, int64_t columns, uint64_t seed) {
  return at::randn({rows, columns}, at::detail::createCPUGenerator(seed), at::TensorOptions().dtype(at::kFloat));
}

// A change of rank 6 whose values halve, in noise.
at::Tensor change_in_noise(int64_t rows, int64_t columns, uint64_t seed) {
  const at::Tensor values = at::pow(2, -at::arange(6, at::TensorOptions().dtype(at::kFloat)));
  return at::mm(normal(rows, 6, seed) * values, normal(6, columns, seed + 1)) + 0.1 * normal(rows, columns, seed + 2);
}

at::Tensor with_falling_values(int64_t rows, int64_t columns, uint64_t seed) {
  const int64_t side = std::min(rows, columns);
  const at::Tensor values = at::pow(at::arange(1, side + 1, at::TensorOptions().dtype(at::kFloat)), -0.7);
  const at::Tensor u = std::get<0>(at::linalg_qr(normal(rows, side, seed)));
  return at::mm(u * values, std::get<0>(at::linalg_qr(normal(columns, side, seed + 1))).t());
}

bool is_like_lapack(const TruncatedSvd& found, const TruncatedSvd& expected) {
  // Single vectors turn where two values are close, by a hundredth here.
  return largest(found.s - expected.s) < 1e-5 * largest(expected.s) &&
         (found.u * expected.u).sum(0).min().item<double>() > 0.9999 &&
         (found.vh * expected.vh).sum(1).min().item<double>() > 0.9999;
}

void expect_like_lapack(const at::Tensor& matrix, int64_t rank) {
  SCOPED_TRACE(fmt::format("{}x{} to rank {}", matrix.size(0), matrix.size(1), rank));
  const TruncatedSvd expected = exact_svd(matrix, rank);
  const auto found = lapack_like_svd(matrix, rank, 0);
  ASSERT_TRUE(found);
  EXPECT_TRUE(is_like_lapack(found->svd, expected));
  EXPECT_LT(found->missed, 1e-4);

  const at::Tensor turns = at::where(normal(1, rank, 9)[0] > 0, 1.0, -1.0).to(at::kFloat);
  TruncatedSvd svd{expected.u * turns, expected.s, expected.vh * turns.unsqueeze(1)};
  ASSERT_TRUE(take_lapack_signs(matrix, svd));
  EXPECT_TRUE(at::equal(svd.u, expected.u));
  EXPECT_TRUE(at::equal(svd.vh, expected.vh));
}

// MKL may go other ways on other processors; these were found on AMD's.
bool is_known_processor() {
#if defined(__x86_64__)
  return __builtin_cpu_is("amd") != 0;
#else
  return false;
#endif
}

// Square, higher, so high that QR comes first, wider, much wider.
constexpr std::pair<int64_t, int64_t> kShapes[] = {{400, 400},  {520, 420}, {599, 400},  {600, 400},
                                                   {1600, 400}, {400, 420}, {400, 1600}, {768, 768}};

TEST(LapackLikeSvd, OfEveryWayThroughTheSvd) {
  if (!is_known_processor()) GTEST_SKIP() << "not an AMD processor";
  for (const auto& [rows, columns] : kShapes) {
    expect_like_lapack(change_in_noise(rows, columns, rows), 4);
    expect_like_lapack(with_falling_values(rows, columns, rows), 4);
    expect_like_lapack(normal(rows, columns, rows + 1), 4);
  }
}

TEST(LapackLikeSvd, OfMoreVectors) {
  if (!is_known_processor()) GTEST_SKIP() << "not an AMD processor";
  expect_like_lapack(with_falling_values(640, 640, 1), 12);
  expect_like_lapack(with_falling_values(700, 400, 2), 12);
  expect_like_lapack(normal(640, 640, 3), 24);
}

// LAPACK's signs then hang on its rounding in some; those are told apart.
TEST(LapackLikeSvd, OfALowRank) {
  if (!is_known_processor()) GTEST_SKIP() << "not an AMD processor";
  int num_found = 0, num_like_lapack = 0;
  for (const auto& [rows, columns] : kShapes) {
    const at::Tensor matrix = at::mm(normal(rows, 6, 1), normal(6, columns, 2));
    const auto found = lapack_like_svd(matrix, 4, 0);
    num_found += found.has_value();
    num_like_lapack += found && is_like_lapack(found->svd, exact_svd(matrix, 4));
  }
  EXPECT_GE(num_found, 4);
  EXPECT_EQ(num_like_lapack, num_found);
}

TEST(LapackLikeSvd, IsNotThereForAsManyVectorsAsNoiseHas) {
  const at::Tensor noise = normal(400, 400, 1);
  EXPECT_FALSE(lapack_like_svd(noise, 100, 0));
  TruncatedSvd svd = exact_svd(noise, 100);
  const at::Tensor u = svd.u.clone();
  EXPECT_FALSE(take_lapack_signs(noise, svd));
  EXPECT_TRUE(at::equal(svd.u, u));
}

TEST(LapackLikeSvd, IsNotThereBelowTheRank) {
  EXPECT_FALSE(lapack_like_svd(at::mm(normal(400, 3, 1), normal(3, 500, 2)), 4, 0));
  EXPECT_FALSE(lapack_like_svd(at::zeros({400, 500}), 4, 0));
}

// The first column says nothing about the larger block.
TEST(LapackLikeSvd, SeesThatItMissesATriple) {
  at::Tensor matrix = at::zeros({600, 600});
  matrix.narrow(0, 0, 300).narrow(1, 0, 300).copy_(normal(300, 300, 1));
  matrix.narrow(0, 300, 300).narrow(1, 300, 300).copy_(1.2 * normal(300, 300, 2));
  EXPECT_FALSE(lapack_like_svd(matrix, 4, 0));
  at::Tensor without_first = normal(500, 500, 3);
  without_first.select(1, 0).zero_();
  EXPECT_FALSE(lapack_like_svd(without_first, 4, 0));
}

TEST(LapackLikeSvd, IsLeftToLapackWhereThatIsAsFast) {
  EXPECT_FALSE(lapack_like_svd(change_in_noise(100, 100, 1), 4, 0));
}

}  // namespace
}  // namespace difftune
