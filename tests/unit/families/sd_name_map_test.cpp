// The SD name maps against the layouts of real checkpoints and against what the converters of Diffusers make of them
// (tests/data/weights/make_weights_data.py).
#include "families/sd/sd_name_map.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "layouts.h"

namespace difftune {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

struct Case {
  const char* layout;
  const char* part;
  NameMap map;
};

std::vector<Case> cases() {
  return {{"sd15_ldm.json.gz", "unet", sd_unet_name_map({})}, {"sd21_ldm.json.gz", "unet", sd_unet_name_map({})},
          {"sd15_ldm.json.gz", "vae", sd_vae_name_map()},     {"sd21_ldm.json.gz", "vae", sd_vae_name_map()},
          {"sd15_ldm.json.gz", "clip", clip_l_name_map()},    {"sd21_ldm.json.gz", "clip", open_clip_name_map()}};
}

TEST(SdNameMap, EveryNameComesFromTheKeyThatDiffusersConverts) {
  for (const auto& [file, part, map] : cases()) {
    const nlohmann::json layout = read_json_gz(std::string("weights/") + file);
    const auto model = map.to_model(checkpoint_of(layout));
    EXPECT_THAT(model->unexpected(), IsEmpty()) << file << part;
    EXPECT_EQ(model->keys().size(), layout[part].size()) << file << part;
    for (const auto& [name, row] : layout[part].items()) {
      EXPECT_EQ(model->checkpoint_key(name), row[0]) << file;
      EXPECT_EQ(map.to_checkpoint(name)->transform.part, row[1]) << name;
      EXPECT_EQ(model->info(name).shape, row[2].get<std::vector<int64_t>>()) << name;
    }
  }
}

TEST(SdNameMap, RoundTripGivesTheCheckpointsKeysAndShapes) {
  for (const auto& [file, part, map] : cases()) {
    const auto checkpoint = checkpoint_of(read_json_gz(std::string("weights/") + file));
    const auto restored = map.to_checkpoint(map.to_model(checkpoint));
    size_t num_expected = 0;
    for (const std::string& key : checkpoint->keys()) {
      if (map.ignores(key)) continue;
      ++num_expected;
      ASSERT_TRUE(restored->contains(key)) << key;
      EXPECT_EQ(restored->info(key).shape, checkpoint->info(key).shape) << key;
    }
    EXPECT_EQ(restored->keys().size(), num_expected) << file << part;
  }
}

TEST(SdNameMap, SmallerUNet) {
  const NameMap map = sd_unet_name_map({.level_has_attention = {true, false}, .layers_per_block = 1});
  const auto key = [&](const char* name) { return map.to_checkpoint(name)->name; };
  EXPECT_EQ(key("down_blocks.0.downsamplers.0.conv.weight"), "model.diffusion_model.input_blocks.2.0.op.weight");
  EXPECT_EQ(key("down_blocks.1.resnets.0.conv1.weight"), "model.diffusion_model.input_blocks.3.0.in_layers.2.weight");
  EXPECT_EQ(key("up_blocks.0.upsamplers.0.conv.bias"), "model.diffusion_model.output_blocks.1.1.conv.bias");
  EXPECT_EQ(key("up_blocks.1.attentions.1.norm.weight"), "model.diffusion_model.output_blocks.3.1.norm.weight");
  EXPECT_FALSE(map.to_checkpoint("down_blocks.1.attentions.0.norm.weight"));
  EXPECT_FALSE(map.to_checkpoint("down_blocks.1.downsamplers.0.conv.weight"));
}

TEST(SdNameMap, VaeFilesOfTheirOwn) {
  EXPECT_EQ(sd_vae_name_map(4, "").to_model("decoder.up.3.block.0.conv1.bias").at(0).name,
            "decoder.up_blocks.0.resnets.0.conv1.bias");
  EXPECT_EQ(sd_vae_name_map(2).to_model("first_stage_model.decoder.up.1.upsample.conv.bias").at(0).name,
            "decoder.up_blocks.0.upsamplers.0.conv.bias");
  EXPECT_TRUE(sd_vae_name_map().ignores("first_stage_model.loss.logvar"));
}

TEST(SdNameMap, OldDiffusersVae) {
  const at::Tensor weight = at::arange(4).reshape({2, 2}), bias = at::arange(2);
  const auto file = std::make_shared<MemorySource>(
      std::vector<NamedTensor>{{"vae.encoder.mid_block.attentions.0.query.weight", weight},
                               {"vae.decoder.mid_block.attentions.0.proj_attn.bias", bias},
                               {"vae.decoder.mid_block.attentions.0.to_k.weight", weight},
                               {"vae.quant_conv.bias", bias}});
  const auto model = diffusers_vae_name_map("vae.").to_model(file);
  EXPECT_THAT(model->keys(),
              ElementsAre("encoder.mid_block.attentions.0.to_q.weight", "decoder.mid_block.attentions.0.to_out.0.bias",
                          "decoder.mid_block.attentions.0.to_k.weight", "quant_conv.bias"));
  EXPECT_THAT(model->unexpected(), IsEmpty());
}

TEST(SdNameMap, ClipWithoutTextModelAndWithPositionIds) {
  const at::Tensor t = at::arange(2);
  const std::string prefix = "cond_stage_model.transformer.";
  const auto file =
      std::make_shared<MemorySource>(std::vector<NamedTensor>{{prefix + "embeddings.position_ids", t},
                                                              {prefix + "encoder.layers.0.mlp.fc1.bias", t},
                                                              {prefix + "final_layer_norm.bias", t}});
  const auto model = clip_l_name_map().to_model(file);
  EXPECT_THAT(model->keys(),
              ElementsAre("text_model.encoder.layers.0.mlp.fc1.bias", "text_model.final_layer_norm.bias"));
  EXPECT_THAT(model->unexpected(), IsEmpty());
}

TEST(SdNameMap, OpenClipLeavesTheLastLayerOut) {
  const NameMap map = open_clip_name_map();
  EXPECT_TRUE(map.ignores("cond_stage_model.model.transformer.resblocks.23.ln_1.bias"));
  EXPECT_FALSE(map.ignores("cond_stage_model.model.transformer.resblocks.22.ln_1.bias"));
  EXPECT_TRUE(map.ignores("cond_stage_model.model.text_projection"));
}

}  // namespace
}  // namespace difftune
