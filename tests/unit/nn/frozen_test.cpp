// The frozen layers against LibTorch's own operations: outputs, and gradients for the input and the low-rank factors.
#include "nn/frozen.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "nn/matrix_product.h"

namespace difftune::nn {
namespace {

double relative_error(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  return ((a.to(at::kDouble) - b.to(at::kDouble)).norm() / b.to(at::kDouble).norm()).item<double>();
}

at::Tensor leaf(const at::Tensor& x) { return x.detach().clone().requires_grad_(true); }

struct ConvCase {
  int64_t batch, in, out, side, kernel, stride, padding;
  c10::ScalarType weight_dtype;
};

class FrozenConv : public testing::TestWithParam<ConvCase> {};

TEST_P(FrozenConv, AgreesWithConv2d) {
  const ConvCase c = GetParam();
  const at::Tensor weight =
      at::randn({c.out, c.in, c.kernel, c.kernel}).to(c.weight_dtype).contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor bias = at::randn({c.out});
  const at::Tensor x = leaf(at::randn({c.batch, c.in, c.side, c.side + 1}).contiguous(at::MemoryFormat::ChannelsLast));
  const at::Tensor plain_x = leaf(x);
  const at::Tensor expected = at::conv2d(plain_x, weight.to(at::kFloat), bias, c.stride, c.padding);
  const at::Tensor got = frozen_conv2d(x, weight, bias, c.stride, c.padding);
  EXPECT_LT(relative_error(got, expected), 2e-6);
  EXPECT_TRUE(got.is_contiguous(at::MemoryFormat::ChannelsLast));

  const at::Tensor grad = at::randn(expected.sizes());
  got.backward(grad);
  expected.backward(grad);
  EXPECT_LT(relative_error(x.grad(), plain_x.grad()), 2e-6);

  const at::NoGradGuard no_grad;
  EXPECT_TRUE(at::allclose(frozen_conv2d(x, weight, bias, c.stride, c.padding), got));
}

INSTANTIATE_TEST_SUITE_P(Shapes, FrozenConv,
                         testing::Values(ConvCase{1, 8, 6, 4, 3, 1, 1, at::kFloat},   // taps
                                         ConvCase{2, 5, 7, 6, 3, 2, 1, at::kFloat},   // taps, downsampler
                                         ConvCase{2, 5, 7, 7, 3, 2, 0, at::kFloat},   // taps, no padding
                                         ConvCase{2, 8, 6, 5, 1, 1, 0, at::kFloat},   // 1x1
                                         ConvCase{1, 8, 6, 32, 3, 1, 1, at::kFloat},  // LibTorch's
                                         ConvCase{1, 33, 70, 5, 3, 1, 1, at::kHalf},  // widened
                                         ConvCase{1, 33, 70, 32, 3, 1, 1, at::kHalf},
                                         ConvCase{2, 19, 35, 6, 3, 2, 1, at::kBFloat16}));

TEST(FrozenConv, BFloat16InputGivesBFloat16) {
  const at::Tensor weight = at::randn({16, 16, 3, 3}).to(at::kBFloat16).contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor x = leaf(at::randn({1, 16, 6, 6}).to(at::kBFloat16));
  const at::Tensor y = frozen_conv2d(x, weight, {}, 1, 1);
  EXPECT_EQ(y.scalar_type(), at::kBFloat16);
  EXPECT_LT(relative_error(y, at::conv2d(x.to(at::kFloat), weight.to(at::kFloat), {}, 1, 1)), 6e-3);
  y.backward(at::randn(y.sizes()).to(at::kBFloat16));
  EXPECT_EQ(x.grad().scalar_type(), at::kBFloat16);
}

TEST(FrozenLinear, AgreesWithLinearWithAndWithoutBias) {
  for (const auto dtype : {at::kFloat, at::kHalf, at::kBFloat16, at::kFloat8_e4m3fn}) {
    for (const bool has_bias : {true, false}) {
      const at::Tensor weight = at::randn({24, 37}).to(dtype);
      const at::Tensor bias = has_bias ? at::randn({24}) : at::Tensor();
      const at::Tensor x = leaf(at::randn({2, 9, 37})), plain_x = leaf(x);
      const at::Tensor y = frozen_linear(x, weight, bias), expected = at::linear(plain_x, weight.to(at::kFloat), bias);
      EXPECT_LT(relative_error(y, expected), 2e-6);
      const at::Tensor grad = at::randn(y.sizes());
      y.backward(grad);
      expected.backward(grad);
      EXPECT_LT(relative_error(x.grad(), plain_x.grad()), 2e-6);
    }
  }
}

TEST(FrozenLinear, LowRankAgreesWithTheSumOfTwoLinears) {
  for (const auto dtype : {at::kFloat, at::kHalf, at::kFloat8_e4m3fn}) {
    const at::Tensor weight = at::randn({24, 37}).to(dtype), bias = at::randn({24});
    const at::Tensor x = leaf(at::randn({2, 9, 37})), down = leaf(at::randn({4, 37})), up = leaf(at::randn({24, 4}));
    const at::Tensor plain_x = leaf(x), plain_down = leaf(down), plain_up = leaf(up);
    const at::Tensor y = frozen_linear_low_rank(x, weight, bias, down, up, 0.25);
    const at::Tensor expected =
        at::linear(plain_x, weight.to(at::kFloat), bias) + at::linear(at::linear(plain_x, plain_down), plain_up) * 0.25;
    EXPECT_LT(relative_error(y, expected), 2e-6);
    const at::Tensor grad = at::randn(y.sizes());
    y.backward(grad);
    expected.backward(grad);
    EXPECT_LT(relative_error(x.grad(), plain_x.grad()), 2e-6);
    EXPECT_LT(relative_error(down.grad(), plain_down.grad()), 2e-6);
    EXPECT_LT(relative_error(up.grad(), plain_up.grad()), 2e-6);
  }
}

TEST(MatrixProduct, WidensInSeveralTiles) {
  // 2100 columns make tiles of 499 rows.
  const at::Tensor weight = at::randn({1200, 2100}).to(at::kHalf), x = at::randn({3, 2100}), g = at::randn({3, 1200});
  EXPECT_LT(relative_error(times_transposed(x, weight, {}), at::linear(x, weight.to(at::kFloat))), 2e-6);
  EXPECT_LT(relative_error(times(g, weight), at::linear(g, weight.to(at::kFloat).t())), 2e-6);
}

}  // namespace
}  // namespace difftune::nn
