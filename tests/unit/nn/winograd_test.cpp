#include "nn/winograd.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

namespace difftune::nn {
namespace {

struct Case {
  int64_t batch, in, out, height, width;
  c10::ScalarType weight_dtype;
};

class Winograd : public testing::TestWithParam<Case> {
 protected:
  Winograd() {
    const auto& [batch, in, out, height, width, dtype] = GetParam();
    x_ = at::randn({batch, in, height, width}).contiguous(at::MemoryFormat::ChannelsLast);
    weight_ = at::randn({out, in, 3, 3}).div_(std::sqrt(9.0 * in)).to(dtype).contiguous(at::MemoryFormat::ChannelsLast);
    bias_ = at::randn({out});
  }
  at::Tensor x_, weight_, bias_;
};

double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b).abs().max().item<double>();
}

TEST_P(Winograd, is_the_convolution) {
  const at::Tensor expected = at::conv2d(x_.to(at::kDouble), weight_.to(at::kDouble), bias_.to(at::kDouble), 1, 1);
  const at::Tensor y = winograd_convolution(x_, weight_, bias_);
  EXPECT_TRUE(y.is_contiguous(at::MemoryFormat::ChannelsLast));
  EXPECT_LT(largest_difference(y, expected), 1e-5);
}

TEST_P(Winograd, backward_is_the_gradient_for_the_input) {
  const auto& c = GetParam();
  const at::Tensor grad = at::randn({c.batch, c.out, c.height, c.width}).contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor expected = std::get<0>(
      at::convolution_backward(grad.to(at::kDouble), x_.to(at::kDouble), weight_.to(at::kDouble), std::nullopt, {1, 1},
                               {1, 1}, {1, 1}, false, {0, 0}, 1, {true, false, false}));
  EXPECT_LT(largest_difference(winograd_convolution_backward(grad, weight_), expected), 1e-5);
}

// Odd sides leave half a tile over; many tiles come in several parts; 144 channels are more than one panel of rows.
INSTANTIATE_TEST_SUITE_P(Shapes, Winograd,
                         testing::Values(Case{1, 16, 32, 8, 8, at::kFloat}, Case{2, 32, 16, 7, 5, at::kHalf},
                                         Case{1, 144, 96, 9, 16, at::kBFloat16}, Case{1, 1056, 32, 24, 40, at::kHalf}));

TEST(Winograd, does_not_pay_for_few_pixels_or_odd_channels) {
  EXPECT_FALSE(winograd_pays(1, 4, 4, 1280, 1280));
  EXPECT_FALSE(winograd_pays(1, 64, 64, 4, 320));
  EXPECT_TRUE(winograd_pays(1, 32, 32, 320, 320));
}

}  // namespace
}  // namespace difftune::nn
