// Weights that wait in main memory: where they are while a block runs, and that they are never changed.
#include "nn/block_swap.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <memory>

namespace difftune::nn {
namespace {

class Swapping : public testing::Test {
 protected:
  Swapping() {
    const auto reader = make_initializer(at::make_generator<at::CPUGeneratorImpl>(1), at::kFloat);
    const ParameterScope scope(*reader, index);
    for (size_t i = 0; i < 4; ++i) {
      layers.push_back(std::make_unique<Linear>(scope / i, 8, 8));
      own.push_back(layers[i]->weight);
    }
  }

  void fill(BlockSwap& swap) {
    for (const auto& layer : layers) swap.add(layer.get(), {layer.get()});
  }

  ModelIndex index;
  std::vector<std::unique_ptr<Linear>> layers;
  std::vector<at::Tensor> own;
};

TEST_F(Swapping, ABlockHasCopiesWhileItRunsAndItsOwnWeightsAfterwards) {
  BlockSwap swap(c10::kCPU, BlockSwap::Fetch::copy);
  fill(swap);
  for (const int i : {0, 1, 2, 3, 3, 2, 1, 0, 0, 1}) {
    const Linear& layer = *layers[static_cast<size_t>(i)];
    const at::Tensor& waiting = own[static_cast<size_t>(i)];
    {
      const auto use = swap.use(&layer);
      EXPECT_FALSE(layer.weight.is_same(waiting)) << i;
      EXPECT_NE(layer.weight.const_data_ptr(), waiting.const_data_ptr()) << i;
      EXPECT_TRUE(at::equal(layer.weight, waiting)) << i;
    }
    EXPECT_TRUE(layer.weight.is_same(waiting)) << i;
  }
}

// The direction tells which block is next; a copy that is still there is not made again.
TEST_F(Swapping, TwoBlocksStayWhereTheDirectionTurns) {
  BlockSwap swap(c10::kCPU, BlockSwap::Fetch::copy);
  fill(swap);
  const auto copy_of = [&](size_t i) {
    const auto use = swap.use(layers[i].get());
    return layers[i]->weight;
  };
  copy_of(0);
  copy_of(1);
  const at::Tensor before_last = copy_of(2), last = copy_of(3);
  EXPECT_TRUE(copy_of(3).is_same(last));
  EXPECT_TRUE(copy_of(2).is_same(before_last));
  copy_of(1);
  EXPECT_FALSE(copy_of(3).is_same(last));
}

// A weight that is replaced (--base_weights merged into it) is the one that is fetched from then on.
TEST_F(Swapping, FetchesTheWeightThatIsThere) {
  BlockSwap swap(c10::kCPU, BlockSwap::Fetch::copy);
  fill(swap);
  layers[2]->weight = own[2] * 2;
  const auto use = swap.use(layers[2].get());
  EXPECT_TRUE(at::equal(layers[2]->weight, own[2] * 2));
}

TEST_F(Swapping, ReadingAheadLeavesWeightsWhereTheyAre) {
  BlockSwap swap(c10::kCPU, BlockSwap::Fetch::read_ahead);
  fill(swap);
  for (const size_t i : {0, 1, 2, 3, 3, 2}) {
    const auto use = swap.use(layers[i].get());
    EXPECT_TRUE(layers[i]->weight.is_same(own[i]));
  }
  EXPECT_FALSE(swap.contains(&swap));
}

}  // namespace
}  // namespace difftune::nn
