// Signs of singular vectors against those of LAPACK's full SVD.
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
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace difftune {
namespace {

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

void expect_signs_of_lapack(const at::Tensor& matrix, int64_t rank) {
  SCOPED_TRACE(fmt::format("{}x{} to rank {}", matrix.size(0), matrix.size(1), rank));
  const TruncatedSvd expected = exact_svd(matrix, rank);
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

TEST(LapackSigns, OfEveryWayThroughTheSvd) {
  if (!is_known_processor()) GTEST_SKIP() << "not an AMD processor";
  // Square, higher, so high that QR comes first, wider, much wider.
  for (const auto& [rows, columns] :
       {std::pair{400, 400}, {520, 420}, {599, 400}, {600, 400}, {900, 300}, {400, 420}, {300, 900}}) {
    expect_signs_of_lapack(change_in_noise(rows, columns, rows), 4);
    expect_signs_of_lapack(with_falling_values(rows, columns, rows), 4);
  }
}

TEST(LapackSigns, OfMoreVectors) {
  if (!is_known_processor()) GTEST_SKIP() << "not an AMD processor";
  expect_signs_of_lapack(with_falling_values(640, 640, 1), 12);
  expect_signs_of_lapack(with_falling_values(700, 400, 2), 12);
}

TEST(LapackSigns, AreNotToldOfNoise) {
  const at::Tensor noise = normal(640, 640, 1);
  TruncatedSvd svd = exact_svd(noise, 12);
  const at::Tensor u = svd.u.clone();
  EXPECT_FALSE(take_lapack_signs(noise, svd));
  EXPECT_TRUE(at::equal(svd.u, u));
}

TEST(LapackSigns, AreLeftToLapackWhereItIsAsFast) {
  TruncatedSvd svd = exact_svd(change_in_noise(100, 100, 1), 4);
  EXPECT_FALSE(take_lapack_signs(change_in_noise(100, 100, 1), svd));
}

}  // namespace
}  // namespace difftune
