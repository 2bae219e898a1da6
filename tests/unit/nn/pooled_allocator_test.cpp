#include "nn/pooled_allocator.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include <cstdint>

namespace difftune::nn {
namespace {

constexpr int64_t kMegabyte = 1 << 20;

at::Tensor bytes(int64_t count) { return at::empty({count}, at::kByte); }

TEST(PooledAllocator, GivesABlockToTheNextTensorOfItsSize) {
  use_pooled_memory();
  trim_pooled_memory();
  const void* first = nullptr;
  {
    const at::Tensor x = bytes(5 * kMegabyte);
    first = x.const_data_ptr();
    EXPECT_EQ(reinterpret_cast<uintptr_t>(first) % (2 * kMegabyte), 0U);
    EXPECT_GE(pooled_memory_use().in_use, size_t{5 * kMegabyte});
  }
  EXPECT_GE(pooled_memory_use().kept, size_t{5 * kMegabyte});
  EXPECT_EQ(bytes(5 * kMegabyte - 100).const_data_ptr(), first);
}

TEST(PooledAllocator, TrimGivesEverythingBack) {
  use_pooled_memory();
  bytes(8 * kMegabyte);
  trim_pooled_memory();
  EXPECT_EQ(pooled_memory_use().kept, 0U);
}

TEST(PooledAllocator, KeepsLittleMoreThanTensorsEverUsed) {
  use_pooled_memory();
  trim_pooled_memory();
  for (int64_t size = 1; size < 200; size += 3) bytes(size * kMegabyte);
  const PoolUse use = pooled_memory_use();
  EXPECT_LE(use.in_use + use.kept, use.most_in_use + size_t{64 * kMegabyte});
}

TEST(PooledAllocator, SmallAndEmptyTensorsWork) {
  use_pooled_memory();
  EXPECT_EQ(at::ones({3}).sum().item<float>(), 3);
  EXPECT_EQ(at::empty({0}).numel(), 0);
  at::Tensor grown = at::ones({10});
  grown.resize_({1 << 20});
  EXPECT_EQ(grown[9].item<float>(), 1);
}

}  // namespace
}  // namespace difftune::nn
