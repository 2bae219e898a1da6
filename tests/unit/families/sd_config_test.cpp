// The structure of SD models, read from their shapes.
#include "families/sd/sd_config.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "layouts.h"
#include "small_sd.h"

namespace difftune {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

void expect_published_sizes(const SdConfig& config) {
  EXPECT_THAT(config.unet.block_channels, ElementsAre(320, 640, 1280, 1280));
  EXPECT_THAT(config.unet.transformer_depth, ElementsAre(1, 1, 1, 0));
  EXPECT_EQ(config.unet.num_resnets_per_block, 2);
  EXPECT_EQ(config.unet.in_channels, 4);
  EXPECT_EQ(config.unet.out_channels, 4);
  EXPECT_EQ(config.unet.vector_size, 0);
  EXPECT_THAT(config.vae.block_channels, ElementsAre(128, 256, 512, 512));
  EXPECT_EQ(config.vae.num_resnets_per_block, 2);
  EXPECT_EQ(config.vae.latent_channels, 4);
  EXPECT_TRUE(config.vae.has_quant_conv);
  EXPECT_EQ(config.text.vocabulary_size, 49408);
  EXPECT_EQ(config.text.max_positions, 77);
}

TEST(SdConfig, Sd15) {
  const auto config = read_sd_config(*checkpoint_of(read_json_gz("weights/sd15_ldm.json.gz")), false);
  expect_published_sizes(config);
  EXPECT_THAT(config.unet.num_heads, ElementsAre(8, 8, 8, 8));
  EXPECT_EQ(config.unet.context_size, 768);
  EXPECT_FALSE(config.unet.uses_linear_projection);
  EXPECT_EQ(config.text.hidden_size, 768);
  EXPECT_EQ(config.text.intermediate_size, 3072);
  EXPECT_EQ(config.text.num_layers, 12);
  EXPECT_EQ(config.text.num_heads, 12);
  EXPECT_TRUE(config.text.uses_quick_gelu);
}

TEST(SdConfig, Sd21) {
  const auto config = read_sd_config(*checkpoint_of(read_json_gz("weights/sd21_ldm.json.gz")), true);
  expect_published_sizes(config);
  EXPECT_THAT(config.unet.num_heads, ElementsAre(5, 10, 20, 20));
  EXPECT_EQ(config.unet.context_size, 1024);
  EXPECT_FALSE(config.unet.uses_linear_projection);
  EXPECT_TRUE(config.has_matrix_projections);
  EXPECT_EQ(config.text.hidden_size, 1024);
  EXPECT_EQ(config.text.intermediate_size, 4096);
  EXPECT_EQ(config.text.num_layers, 23);
  EXPECT_EQ(config.text.num_heads, 16);
  EXPECT_FALSE(config.text.uses_quick_gelu);
}

TEST(SdConfig, SmallModels) {
  for (const bool is_v2 : {false, true}) {
    const SdConfig expected = small_sd_config(is_v2);
    const auto config = read_sd_config(MemorySource(SmallSd(expected).ldm()), is_v2);
    EXPECT_EQ(config.unet.block_channels, expected.unet.block_channels);
    EXPECT_EQ(config.unet.transformer_depth, expected.unet.transformer_depth);
    EXPECT_EQ(config.unet.num_heads, expected.unet.num_heads);
    EXPECT_EQ(config.unet.num_resnets_per_block, 1);
    EXPECT_EQ(config.unet.context_size, 64);
    EXPECT_EQ(config.has_matrix_projections, is_v2);
    EXPECT_EQ(config.vae.block_channels, expected.vae.block_channels);
    EXPECT_EQ(config.vae.num_resnets_per_block, 1);
    EXPECT_EQ(config.text.num_layers, 2);
    EXPECT_EQ(config.text.uses_quick_gelu, !is_v2);
  }
}

TEST(SdConfig, VaeFilesOfTheirOwn) {
  const auto layout = checkpoint_of(read_json_gz("weights/sd15_ldm.json.gz"));
  const auto config = read_vae_config(*layout, "first_stage_model.", false);
  EXPECT_THAT(config.block_channels, ElementsAre(128, 256, 512, 512));
  EXPECT_THAT(error_of([&] { read_vae_config(*layout, "vae.", true); }),
              HasSubstr("has no tensor 'vae.encoder.down_blocks.0.resnets.0.conv1.weight'"));
}

TEST(SdConfig, ADiffusersFolderSaysWhatShapesDoNotShow) {
  const TemporaryFolder folder;
  for (const char* part : {"unet", "text_encoder", "vae"}) fs::create_directories(folder / part);
  write_file_atomically(folder / "unet" / "config.json", R"({"attention_head_dim": [2, 4], "norm_num_groups": 16})");
  write_file_atomically(folder / "text_encoder" / "config.json", R"({"num_attention_heads": 2, "hidden_act": "gelu"})");
  write_file_atomically(folder / "vae" / "config.json", R"({"norm_num_groups": 8})");
  SmallSd(small_sd_config(false)).write_diffusers(folder / "model");
  std::vector<NamedTensor> tensors;
  for (const char* part : {"unet", "vae", "text_encoder"}) {
    for (const auto& entry : fs::directory_iterator(folder / "model" / part)) {
      const SafetensorsFile file(entry.path());
      for (const auto& key : file.keys()) tensors.emplace_back(std::string(part) + "." + key, file.tensor(key));
    }
  }
  const auto config = read_sd_config(MemorySource(tensors, {}, folder / ""), false);
  EXPECT_TRUE(config.is_diffusers);
  EXPECT_THAT(config.unet.num_heads, ElementsAre(2, 4));
  EXPECT_EQ(config.unet.norm_groups, 16);
  EXPECT_EQ(config.text.num_heads, 2);
  EXPECT_FALSE(config.text.uses_quick_gelu);
  EXPECT_EQ(config.vae.norm_groups, 8);

  for (const char* broken :
       {"{", "[1]", R"({"attention_head_dim": "8"})", R"({"attention_head_dim": []})", R"({"norm_num_groups": "x"})"}) {
    write_file_atomically(folder / "unet" / "config.json", broken);
    EXPECT_THAT(error_of([&] { read_sd_config(MemorySource(tensors, {}, folder / ""), false); }),
                HasSubstr("unet/config.json"))
        << broken;
  }
}

}  // namespace
}  // namespace difftune
