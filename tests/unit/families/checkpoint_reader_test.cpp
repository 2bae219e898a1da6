// 8-bit weights: what is narrowed, and what is left.
#include "families/checkpoint_reader.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

namespace difftune {
namespace {

std::shared_ptr<const TensorSource> source() {
  return std::make_shared<MemorySource>(std::vector<NamedTensor>{{"layer.weight", at::randn({4, 6})},
                                                                 {"layer.bias", at::randn({4})},
                                                                 {"kernel.weight", at::randn({4, 3, 3, 3})},
                                                                 {"table.weight", at::randn({9, 4})},
                                                                 {"large.weight", at::full({2, 2}, 1e4)}});
}

at::Tensor read(const std::shared_ptr<const TensorSource>& from, const std::string& path, nn::Init init,
                bool rounds_all = false) {
  const auto reader =
      make_checkpoint_reader(from, at::kBFloat16, c10::kCPU, {.is_fp8 = true, .rounds_all_to_fp8 = rounds_all});
  return reader->read(path, from->tensor(path).sizes(), init, 1);
}

TEST(EightBitWeights, AreTheMatricesAndKernelsOfLayers) {
  const auto from = source();
  for (const char* path : {"layer.weight", "kernel.weight"}) {
    const at::Tensor narrow = read(from, path, nn::Init::uniform_fan_in);
    EXPECT_EQ(narrow.scalar_type(), at::kFloat8_e4m3fn) << path;
    EXPECT_TRUE(at::equal(narrow.to(at::kFloat), from->tensor(path).to(at::kFloat8_e4m3fn).to(at::kFloat))) << path;
  }
  EXPECT_TRUE(
      at::equal(read(from, "layer.bias", nn::Init::uniform_fan_in), from->tensor("layer.bias").to(at::kBFloat16)));
  EXPECT_TRUE(
      at::equal(read(from, "table.weight", nn::Init::normal_002), from->tensor("table.weight").to(at::kBFloat16)));
}

TEST(EightBitWeights, TakeBiasesAndTablesAlongAsTheReferenceDoes) {
  const auto from = source();
  for (const auto& [path, init] :
       {std::pair("layer.bias", nn::Init::uniform_fan_in), {"table.weight", nn::Init::normal_002}}) {
    const at::Tensor rounded = read(from, path, init, true);
    EXPECT_EQ(rounded.scalar_type(), at::kBFloat16) << path;
    EXPECT_TRUE(at::equal(rounded, from->tensor(path).to(at::kFloat8_e4m3fn).to(at::kBFloat16))) << path;
  }
}

TEST(EightBitWeights, EndAtTheLargestValue) {
  const at::Tensor narrow = read(source(), "large.weight", nn::Init::uniform_fan_in);
  EXPECT_TRUE(at::allclose(narrow.to(at::kFloat), at::full({2, 2}, 448.0f)));
}

}  // namespace
}  // namespace difftune
