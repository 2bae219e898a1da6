#include "nn/geglu.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

namespace difftune::nn {
namespace {

TEST(Geglu, AgreesWithTheProductAndItsGradient) {
  const at::Tensor x = at::randn({2, 7, 22}).requires_grad_(true), plain = x.detach().clone().requires_grad_(true);
  const auto halves = plain.chunk(2, -1);
  const at::Tensor expected = halves[0] * at::gelu(halves[1]), y = geglu(x);
  EXPECT_TRUE(at::equal(y, expected));
  const at::Tensor grad = at::randn(y.sizes());
  y.backward(grad);
  expected.backward(grad);
  EXPECT_TRUE(at::allclose(x.grad(), plain.grad(), 1e-6, 1e-7));
}

}  // namespace
}  // namespace difftune::nn
