#include "nn/matrix_product.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

namespace difftune::nn {
namespace {

struct Case {
  int64_t rows, in, out;
  c10::ScalarType weight_dtype;
};

at::Tensor wide(const at::Tensor& x) { return x.to(at::kDouble); }

void expect_equal(const at::Tensor& value, const at::Tensor& expected) {
  ASSERT_EQ(value.sizes(), expected.sizes());
  EXPECT_LT((wide(value) - expected).abs().max().item<double>(), 1e-5);
}

class Product : public testing::TestWithParam<Case> {
 protected:
  Product()
      : x(at::randn({GetParam().rows, GetParam().in})),
        g(at::randn({GetParam().rows, GetParam().out})),
        weight(at::randn({GetParam().out, GetParam().in}).div_(30).to(GetParam().weight_dtype)),
        bias(at::randn({GetParam().out})),
        few(at::randn({GetParam().rows, 4}).div_(2)) {}
  at::Tensor x, g, weight, bias, few;
};

TEST_P(Product, with_the_transposed_weight_a_bias_and_a_low_rank_term) {
  const at::Tensor plain = at::mm(wide(x), wide(weight).t());
  expect_equal(times_transposed(x, weight, std::nullopt), plain);
  const LowRankTerm term{few, at::randn({4, weight.size(0)})};
  expect_equal(times_transposed(x, weight, bias, &term), plain + wide(bias) + at::mm(wide(few), wide(term.matrix)));
}

TEST_P(Product, with_the_weight_and_a_low_rank_term) {
  const at::Tensor plain = at::mm(wide(g), wide(weight));
  expect_equal(times(g, weight), plain);
  const LowRankTerm term{few, at::randn({weight.size(1), 4}).t()};
  expect_equal(times(g, weight, &term), plain + at::mm(wide(few), wide(term.matrix)));
}

TEST_P(Product, adds_to_a_part_of_a_matrix) {
  at::Tensor whole = at::randn({GetParam().rows, GetParam().out + 3});
  const at::Tensor before = whole.clone();
  at::Tensor part = whole.narrow(1, 2, GetParam().out);
  add_times_transposed(part, x, weight);
  expect_equal(part, wide(before.narrow(1, 2, GetParam().out)) + at::mm(wide(x), wide(weight).t()));
  EXPECT_TRUE(whole.narrow(1, 0, 2).equal(before.narrow(1, 0, 2)));
}

TEST_P(Product, of_a_transposed_matrix_of_few_columns) {
  expect_equal(transposed_times(few, g), at::mm(wide(few).t(), wide(g)));
}

// Sizes on both sides of blocks of 16, panels of 64 columns and 512 rows, and blocks of 128 rows.
INSTANTIATE_TEST_SUITE_P(Shapes, Product,
                         testing::Values(Case{1, 16, 16, at::kFloat}, Case{7, 33, 70, at::kHalf},
                                         Case{77, 96, 128, at::kBFloat16}, Case{130, 600, 50, at::kHalf},
                                         Case{20, 40, 530, at::kFloat}));

struct NarrowCase {
  int64_t rows, in, out, rank;
  c10::ScalarType weight_dtype;
};

// bf16 values: sums are fp32 and rounded once, so that the result is within half of a last place of the exact one.
class NarrowProduct : public testing::TestWithParam<NarrowCase> {
 protected:
  static void expect_rounded(const at::Tensor& value, const at::Tensor& exact) {
    ASSERT_EQ(value.scalar_type(), at::kBFloat16);
    const at::Tensor allowed = exact.abs().mul(1.0 / 256).add(1e-5);
    EXPECT_TRUE((wide(value) - exact).abs().le(allowed).all().item<bool>());
  }
};

TEST_P(NarrowProduct, is_rounded_once) {
  const auto& [rows, in, out, rank, dtype] = GetParam();
  const at::Tensor x = at::randn({rows, in}).to(at::kBFloat16), g = at::randn({rows, out}).to(at::kBFloat16);
  const at::Tensor weight = at::randn({out, in}).div_(8).to(dtype), bias = at::randn({out}).to(at::kBFloat16);
  const at::Tensor few = at::randn({rows, rank}).to(at::kBFloat16);
  const LowRankTerm up{few, at::randn({out, rank}).to(at::kBFloat16).t()};
  const LowRankTerm down{few, at::randn({rank, in}).to(at::kBFloat16)};
  expect_rounded(times_transposed(x, weight, bias, &up),
                 at::mm(wide(x), wide(weight).t()) + wide(bias) + at::mm(wide(up.rows), wide(up.matrix)));
  expect_rounded(times(g, weight, &down), at::mm(wide(g), wide(weight)) + at::mm(wide(few), wide(down.matrix)));
  expect_rounded(transposed_times(few, g), at::mm(wide(few).t(), wide(g)));
}

INSTANTIATE_TEST_SUITE_P(Shapes, NarrowProduct,
                         testing::Values(NarrowCase{1, 16, 16, 4, at::kBFloat16},
                                         NarrowCase{78, 96, 128, 3, at::kBFloat16},
                                         NarrowCase{130, 600, 50, 4, at::kBFloat16},
                                         NarrowCase{64, 1280, 320, 8, at::kFloat8_e4m3fn},
                                         NarrowCase{7, 34, 70, 1, at::kFloat8_e4m3fn}));

}  // namespace
}  // namespace difftune::nn
