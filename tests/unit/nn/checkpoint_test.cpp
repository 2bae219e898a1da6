#include "nn/checkpoint.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <gtest/gtest.h>

#include "nn/random_state.h"

namespace difftune::nn {
namespace {

at::Tensor trained() { return at::ones({3}).requires_grad_(true); }

TEST(Checkpoint, RunsTheSegmentAgainWithTheSameDraws) {
  const at::Tensor weight = trained(), input = trained();
  seed_generators(4);
  const at::Tensor mask = at::rand({3}), next = at::rand({3});
  seed_generators(4);
  const at::Tensor output =
      checkpoint([&](const std::vector<at::Tensor>& in) { return in[0] * weight * at::rand({3}); }, {input});
  output.sum().backward();
  EXPECT_TRUE(at::equal(output.detach(), mask));
  EXPECT_TRUE(at::equal(input.grad(), mask));
  EXPECT_TRUE(at::equal(weight.grad(), mask));
  EXPECT_TRUE(at::equal(at::rand({3}), next));  // running again draws nothing for what follows
}

// Module dropout may leave out every adapter in a segment, and the first segment's input is not trained.
TEST(Checkpoint, PassesOverASegmentInWhichNothingIsTrained) {
  const at::Tensor input = at::ones({3}), weight = trained();
  const at::Tensor output = checkpoint([](const std::vector<at::Tensor>& in) { return in[0] * 2; }, {input});
  (output * weight).sum().backward();
  EXPECT_TRUE(at::equal(weight.grad(), at::ones({3}) * 2));
}

}  // namespace
}  // namespace difftune::nn
