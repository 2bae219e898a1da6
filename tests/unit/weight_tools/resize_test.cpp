// How ranks follow from singular values, and which block a module of --lbws belongs to.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "weight_tools/block_weights.h"
#include "weight_tools/resize_lora.h"

namespace difftune {
namespace {

const std::vector<double> kValues = {8, 4, 2, 1, 0.5};

TEST(ChooseRank, CountsOneMoreThanItsRuleFinds) {
  // Values of resize_lora.py's rank_resize on these singular values, padded with zeros to 64.
  EXPECT_EQ(choose_rank(kValues, 64, 16, RankMethod::fixed, 0), 16);
  EXPECT_EQ(choose_rank(kValues, 64, 16, RankMethod::sv_ratio, 3), 3);
  EXPECT_EQ(choose_rank(kValues, 64, 16, RankMethod::sv_ratio, 100), 6);
  EXPECT_EQ(choose_rank(kValues, 64, 16, RankMethod::sv_cumulative, 0.75), 3);
  EXPECT_EQ(choose_rank(kValues, 64, 16, RankMethod::sv_cumulative, 0.8), 4);
  EXPECT_EQ(choose_rank(kValues, 64, 16, RankMethod::sv_fro, 0.9), 3);
  EXPECT_EQ(choose_rank(kValues, 64, 16, RankMethod::sv_fro, 0.99), 4);
}

TEST(ChooseRank, StaysWithinItsLimits) {
  EXPECT_EQ(choose_rank(kValues, 64, 3, RankMethod::sv_ratio, 100), 3);
  EXPECT_EQ(choose_rank(kValues, 3, 16, RankMethod::sv_ratio, 100), 3);
  EXPECT_EQ(choose_rank(kValues, 64, 16, RankMethod::sv_cumulative, 0.01), 2);
  EXPECT_EQ(choose_rank({1e-7, 0}, 64, 16, RankMethod::fixed, 0), 1);
}

// Twelve plus two and so on: the index of a block is the one in a list of 26.
double factor_of(const std::string& module, bool is_sdxl) {
  std::string list = "[0";
  for (int i = 1; i < 26; ++i) list += fmt::format(",{}", i);
  return BlockWeights(list + "]").factor(module, is_sdxl);
}

TEST(BlockWeights, FindTheBlockOfAModule) {
  // get_lbw_block_index() of svd_merge_lora.py.
  EXPECT_EQ(factor_of("lora_te_text_model_encoder_layers_3_mlp_fc1", false), 0);
  EXPECT_EQ(factor_of("lora_unet_down_blocks_0_attentions_1_proj_in", false), 3);
  EXPECT_EQ(factor_of("lora_unet_down_blocks_1_downsamplers_0_conv", false), 7);
  EXPECT_EQ(factor_of("lora_unet_down_blocks_3_resnets_1_conv1", false), 12);
  EXPECT_EQ(factor_of("lora_unet_mid_block_attentions_0_proj_in", false), 13);
  EXPECT_EQ(factor_of("lora_unet_up_blocks_1_attentions_2_proj_in", false), 19);
  EXPECT_EQ(factor_of("lora_unet_up_blocks_0_upsamplers_0_conv", false), 16);
  EXPECT_EQ(factor_of("lora_unet_input_blocks_4_1_proj_in", true), 5);
  EXPECT_EQ(factor_of("lora_unet_middle_block_1_proj_in", true), 13);
  EXPECT_EQ(factor_of("lora_unet_output_blocks_5_1_proj_in", true), 19);
}

TEST(BlockWeights, ShortListsNameSomeBlocks) {
  const BlockWeights weights("[2,0,0,0,0,3,0,0,0,0,0,0]");
  EXPECT_TRUE(weights.is_for_sdxl());
  EXPECT_EQ(weights.factor("lora_te1_text_model_encoder_layers_3_mlp_fc1", true), 2);
  EXPECT_EQ(weights.factor("lora_unet_input_blocks_1_1_proj_in", true), 1);  // not in a list of 12
  EXPECT_EQ(weights.factor("lora_unet_input_blocks_4_1_proj_in", true), 0);
  EXPECT_EQ(weights.factor("lora_unet_middle_block_1_proj_in", true), 3);
}

TEST(BlockWeights, RefuseWhatIsNoList) {
  EXPECT_THROW(BlockWeights("1,2,3"), UsageError);
  EXPECT_THROW(BlockWeights("[1,\"2\"]"), UsageError);
  EXPECT_THROW(BlockWeights("[1,2,3]"), UsageError);
}

}  // namespace
}  // namespace difftune
