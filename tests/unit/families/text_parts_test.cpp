// T5, Gemma 2 and the 16-channel autoencoders in files as they are published (tests/data/weights/make_part_layouts.py).
#include <ATen/ops/empty.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "base/error.h"
#include "families/sd/sd_config.h"
#include "families/sd/sd_name_map.h"
#include "families/text/gemma2_part.h"
#include "families/text/t5_part.h"
#include "layouts.h"
#include "text/tokenizer_files.h"

namespace difftune {
namespace {

using testing::HasSubstr;

struct Case {
  const char* layout;
  const char* part;
  NameMap map;
};

std::vector<Case> cases() {
  return {{"t5xxl", "t5", t5_name_map()},
          {"gemma2_2b", "gemma2", gemma2_name_map()},
          {"flux_ae", "vae", sd_vae_name_map(4, "")},
          {"sd3_vae", "vae", sd_vae_name_map(4, "first_stage_model.")}};
}

nlohmann::json layout_of(const std::string& name) { return read_json_gz("weights/" + name + ".json.gz"); }

// The layout's keys with `prefix` before each, without `left_out`.
std::shared_ptr<const MemorySource> renamed(const std::string& layout, const std::string& prefix,
                                            const std::string& left_out = {}) {
  std::vector<NamedTensor> tensors;
  const nlohmann::json whole = layout_of(layout);
  for (const auto& [key, shape] : whole["checkpoint"].items()) {
    if (key == left_out) continue;
    tensors.emplace_back(prefix + key, at::empty(shape.get<std::vector<int64_t>>(), at::TensorOptions(c10::kMeta)));
  }
  return std::make_shared<MemorySource>(std::move(tensors));
}

TEST(PartNameMaps, EveryNameComesFromItsKey) {
  for (const auto& [name, part, map] : cases()) {
    const nlohmann::json layout = layout_of(name);
    const auto model = map.to_model(checkpoint_of(layout));
    EXPECT_EQ(model->keys().size(), layout[part].size()) << name;
    for (const auto& [path, row] : layout[part].items()) {
      EXPECT_EQ(model->checkpoint_key(path), row[0]) << name;
      EXPECT_EQ(model->info(path).shape, row[2].get<std::vector<int64_t>>()) << path;
    }
  }
}

TEST(PartNameMaps, RoundTripGivesTheCheckpointsKeysAndShapes) {
  for (const auto& [name, part, map] : cases()) {
    const auto checkpoint = checkpoint_of(layout_of(name));
    const auto restored = map.to_checkpoint(map.to_model(checkpoint));
    for (const std::string& key : checkpoint->keys()) {
      if (key == "encoder.embed_tokens.weight") continue;  // shared.weight again
      ASSERT_TRUE(restored->contains(key)) << key;
      EXPECT_EQ(restored->info(key).shape, checkpoint->info(key).shape) << key;
    }
  }
}

TEST(VaeOf16Channels, ConfigFromShapes) {
  for (const char* name : {"flux_ae", "sd3_vae"}) {
    const std::string prefix = std::string(name) == "sd3_vae" ? "first_stage_model." : "";
    const auto config = read_vae_config(*checkpoint_of(layout_of(name)), prefix, false);
    EXPECT_EQ(config.latent_channels, 16);
    EXPECT_EQ(config.block_channels, (std::vector<int64_t>{128, 256, 512, 512}));
    EXPECT_EQ(config.num_resnets_per_block, 2);
    EXPECT_FALSE(config.has_quant_conv);
  }
}

TEST(T5Part, IsFoundInEveryLayout) {
  for (const char* prefix : {"", "text_encoders.t5xxl.transformer.", "text_encoder_2.", "text_encoder_3."}) {
    for (const char* left_out : {"", "shared.weight", "encoder.embed_tokens.weight"}) {
      const auto part = find_t5(renamed("t5xxl", prefix, left_out));
      ASSERT_TRUE(part) << prefix;
      EXPECT_TRUE(part->tensors->contains("shared.weight")) << prefix << left_out;
      EXPECT_EQ(part->config.vocabulary_size, 32128);
      EXPECT_EQ(part->config.hidden_size, 4096);
      EXPECT_EQ(part->config.intermediate_size, 10240);
      EXPECT_EQ(part->config.num_layers, 24);
      EXPECT_EQ(part->config.num_heads, 64);
      EXPECT_EQ(part->config.head_size, 64);
      EXPECT_EQ(part->config.num_distance_buckets, 32);
    }
  }
  EXPECT_FALSE(find_t5(renamed("flux_ae", "")));
}

TEST(T5Part, NamesTheMissingTensor) {
  const auto file = renamed("t5xxl", "", "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight");
  try {
    find_t5(file);
    FAIL();
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("relative_attention_bias"));
  }
}

TEST(Gemma2Part, IsFoundInEveryLayout) {
  for (const char* prefix : {"", "model.", "text_encoders.gemma2_2b.transformer.model.", "text_encoder."}) {
    const auto part = find_gemma2(renamed("gemma2_2b", prefix));
    ASSERT_TRUE(part) << prefix;
    EXPECT_EQ(part->config.vocabulary_size, 256000);
    EXPECT_EQ(part->config.hidden_size, 2304);
    EXPECT_EQ(part->config.intermediate_size, 9216);
    EXPECT_EQ(part->config.num_layers, 26);
    EXPECT_EQ(part->config.num_heads, 8);
    EXPECT_EQ(part->config.num_key_value_heads, 4);
    EXPECT_EQ(part->config.head_size, 256);
    EXPECT_EQ(part->config.query_scale, 1.0 / 16);
    EXPECT_EQ(part->config.score_cap, 0);
  }
  EXPECT_FALSE(find_gemma2(renamed("t5xxl", "")));
}

// A folder of the test's own, and no other place to look at.
class TokenizerFiles : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(root);
    setenv("HF_HUB_CACHE", (root / "hub").c_str(), 1);
  }
  void TearDown() override {
    unsetenv("HF_HUB_CACHE");
    fs::remove_all(root);
  }
  void put(const fs::path& place, const std::string& content) {
    fs::create_directories((root / place).parent_path());
    std::ofstream(root / place) << content;
  }

  fs::path root = fs::path(testing::TempDir()) / ("difftune_tokenizer_files_" + std::to_string(getpid()));
  const std::string model = "hub/models--google--gemma-2-2b/";
};

TEST_F(TokenizerFiles, CacheFolderGoesBeforeTheHubCache) {
  const auto find = [&](const std::optional<fs::path>& cache) {
    return find_tokenizer_file("google/gemma-2-2b", "tokenizer.model", cache);
  };
  EXPECT_FALSE(find(root / "cache"));
  put(model + "snapshots/aaa/tokenizer.model", "1");
  EXPECT_EQ(find(root / "cache"), root / (model + "snapshots/aaa/tokenizer.model"));
  put(model + "snapshots/bbb/tokenizer.model", "2");
  put(model + "refs/main", "bbb\n");
  EXPECT_EQ(find(std::nullopt), root / (model + "snapshots/bbb/tokenizer.model"));
  // --tokenizer_cache_dir of lumina_train_network is a hub cache in the reference.
  EXPECT_EQ(find(root / "hub"), root / (model + "snapshots/bbb/tokenizer.model"));
  put("cache/google_gemma-2-2b/tokenizer.model", "3");
  EXPECT_EQ(find(root / "cache"), root / "cache/google_gemma-2-2b/tokenizer.model");
}

TEST_F(TokenizerFiles, SaysWhereToPutGemmas) {
  try {
    load_gemma_tokenizer(root / "cache");
    FAIL();
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("tokenizer.model of google/gemma-2-2b"));
    EXPECT_THAT(error.what(), HasSubstr("cache/google_gemma-2-2b"));
    EXPECT_THAT(error.what(), HasSubstr("--tokenizer_cache_dir"));
  }
  put("cache/google_gemma-2-2b/tokenizer.model", read_file(TEST_DATA_DIR "/text/small_gemma.model"));
  EXPECT_FALSE(load_gemma_tokenizer(root / "cache")->encode("a photo").empty());
}

TEST_F(TokenizerFiles, T5HasItsOwnTable) {
  EXPECT_EQ(load_t5_tokenizer(root / "cache")->encode("a photo").size(), 3u);
  put("cache/google_t5-v1_1-xxl/spiece.model", "no model");
  EXPECT_THROW(load_t5_tokenizer(root / "cache"), UserError);
}

}  // namespace
}  // namespace difftune
