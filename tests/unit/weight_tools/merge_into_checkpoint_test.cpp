// Sums of weights and LoRAs against the same operations by LibTorch, to the bit.
#include "weight_tools/merge_into_checkpoint.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/scalar_tensor.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>

#include "weights/open_weights.h"
#include "weights/safetensors.h"

namespace difftune {
namespace {

constexpr int64_t kWidth = 72, kColumns = 100;  // not a multiple of a vector's length
const std::string kQkv = "double_blocks.0.img_attn.qkv.weight", kProj = "double_blocks.0.img_attn.proj.weight";

class MergeIntoCheckpoint : public ::testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }

  at::Tensor merged(const std::string& key, c10::ScalarType stored, c10::ScalarType dtype) {
    write_safetensors(folder_ / "base.safetensors", {{kQkv, qkv_.to(stored)}, {kProj, proj_.to(stored)}});
    write_safetensors(folder_ / "lora.safetensors", lora_);
    const auto file = std::make_shared<const AdapterFile>(folder_ / "lora.safetensors");
    const CheckpointMerge merge({open_weights(folder_ / "base.safetensors")}, {{.file = file, .ratio = 0.7}}, {});
    return merge.tensor(0, key, dtype);
  }

  fs::path folder_ = fs::temp_directory_path() / fmt::format("difftune_merge_into_checkpoint_{}", getpid());
  at::Tensor qkv_ = at::randn({3 * kWidth, kColumns}), proj_ = at::randn({kWidth, kColumns});
  at::Tensor up_ = at::randn({kWidth, 4}), down_ = at::randn({4, kColumns});
  std::vector<NamedTensor> lora_ = {{"lora_unet_double_blocks_0_img_attn_proj.lora_up.weight", up_},
                                    {"lora_unet_double_blocks_0_img_attn_proj.lora_down.weight", down_},
                                    {"lora_unet_double_blocks_0_img_attn_proj.alpha", at::scalar_tensor(3.0)}};
};

TEST_F(MergeIntoCheckpoint, OfEveryPrecision) {
  for (const auto stored : {at::kFloat, at::kHalf, at::kBFloat16, at::kFloat8_e4m3fn}) {
    for (const auto dtype : {at::kFloat, at::kHalf, at::kBFloat16}) {
      SCOPED_TRACE(fmt::format("{} to {}", c10::toString(stored), c10::toString(dtype)));
      const at::Tensor sum = proj_.to(stored).to(at::kFloat) + at::mm(up_, down_) * 0.7 * 0.75;
      EXPECT_TRUE(at::equal(merged(kProj, stored, dtype), sum.to(dtype)));
    }
  }
}

TEST_F(MergeIntoCheckpoint, OfPartsOfAWeight) {
  lora_ = {{"transformer.transformer_blocks.0.attn.to_k.lora_B.weight", up_},
           {"transformer.transformer_blocks.0.attn.to_k.lora_A.weight", down_},
           {"transformer.transformer_blocks.0.attn.to_v.lora_B.weight", 2 * up_},
           {"transformer.transformer_blocks.0.attn.to_v.lora_A.weight", down_}};
  const at::Tensor weight = qkv_.to(at::kBFloat16).to(at::kFloat);
  const at::Tensor sum =
      at::cat({weight.narrow(0, 0, kWidth), weight.narrow(0, kWidth, kWidth) + at::mm(up_, down_) * 0.7,
               weight.narrow(0, 2 * kWidth, kWidth) + at::mm(2 * up_, down_) * 0.7});
  EXPECT_TRUE(at::equal(merged(kQkv, at::kBFloat16, at::kBFloat16), sum.to(at::kBFloat16)));
}

TEST_F(MergeIntoCheckpoint, NothingWhereAValueIsNotFinite) {
  proj_[kWidth - 1][kColumns - 1] = INFINITY;
  EXPECT_FALSE(merged(kProj, at::kBFloat16, at::kBFloat16).defined());
  EXPECT_FALSE(merged(kProj, at::kFloat, at::kHalf).defined());
  proj_[kWidth - 1][kColumns - 1] = 1e6;
  EXPECT_TRUE(merged(kProj, at::kFloat, at::kBFloat16).defined());
  EXPECT_FALSE(merged(kProj, at::kFloat, at::kHalf).defined());
}

}  // namespace
}  // namespace difftune
