// A LoRA as a whole: which layers get a module, learning rates, files, merging and norms.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/norm.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>

#include "small_layers.h"

namespace difftune {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

std::vector<std::string> keys_of(const std::vector<NamedTensor>& tensors) {
  std::vector<std::string> keys;
  for (const auto& [key, tensor] : tensors) keys.push_back(key);
  return keys;
}

std::unique_ptr<LoraNetwork> make(SmallLayers& layers, const LoraConfig& config) {
  return std::make_unique<LoraNetwork>(config, layers.targets(), cpu_generator(), c10::kCPU);
}

class LoraNetworkTest : public testing::Test {
 protected:
  SmallLayers layers;
};

TEST_F(LoraNetworkTest, ConvolutionsAreLeftAloneUnlessAskedFor) {
  const auto network = make(layers, {.rank = 2});
  EXPECT_THAT(keys_of(network->state()),
              ElementsAre("linear.alpha", "linear.lora_down.weight", "linear.lora_up.weight", "conv1x1.alpha",
                          "conv1x1.lora_down.weight", "conv1x1.lora_up.weight"));
  EXPECT_EQ(network->num_parameters(), 2 * (12 + 20) + 2 * (8 + 16));
}

TEST_F(LoraNetworkTest, SmallLayersOfConvolutionalBlocksCanBeEnteredWithoutARankForLargeOnes) {
  auto targets = layers.targets();
  targets[1].is_convolutional_block = true;
  const auto keys = [&](bool enters) {
    const LoraConfig config = {.rank = 2, .enters_convolutional_blocks = enters};
    return keys_of(LoraNetwork(config, targets, cpu_generator(), c10::kCPU).parameters());
  };
  EXPECT_THAT(keys(false), ElementsAre("linear.lora_down.weight", "linear.lora_up.weight"));
  EXPECT_THAT(keys(true), ElementsAre("linear.lora_down.weight", "linear.lora_up.weight", "conv1x1.lora_down.weight",
                                      "conv1x1.lora_up.weight"));
}

TEST_F(LoraNetworkTest, AMergedFileDrawsWhatANetworkOfItsRanksDraws) {
  const auto network = make(layers, {.rank = 3, .conv_rank = 2});
  const MemorySource file(network->state());
  nn::seed_generators(5);
  make(layers, {.rank = 3, .conv_rank = 2});
  const at::Tensor after_network = at::rand({4});
  nn::seed_generators(5);
  draw_unused_initial_values(file, layers.targets(), cpu_generator());
  EXPECT_TRUE(at::equal(at::rand({4}), after_network));
}

TEST_F(LoraNetworkTest, ConvolutionsHaveRankAndAlphaOfTheirOwn) {
  const auto network =
      make(layers, {.rank = 2, .alpha = 1, .alpha_is_integer = true, .conv_rank = 3, .conv_alpha = 1.5});
  const auto state = network->state();
  ASSERT_THAT(state, SizeIs(9));
  EXPECT_EQ(state[0].second.scalar_type(), at::kLong);
  EXPECT_EQ(state[6].second.item<double>(), 1.5);
  EXPECT_EQ(state[6].second.scalar_type(), at::kFloat);
  EXPECT_THAT(state[7].second.sizes().vec(), ElementsAre(3, 8, 3, 3));
  EXPECT_THAT(state[8].second.sizes().vec(), ElementsAre(12, 3, 1, 1));
}

TEST_F(LoraNetworkTest, AlphaZeroIsTheRank) {
  EXPECT_EQ(make(layers, {.rank = 8, .alpha = 0})->state()[0].second.item<double>(), 8);
}

TEST_F(LoraNetworkTest, NothingToAdaptIsAnError) {
  EXPECT_THAT(error_of([&] { LoraNetwork({}, {}, cpu_generator(), c10::kCPU); }), HasSubstr("no layer of the model"));
}

TEST_F(LoraNetworkTest, SavesAndLoadsEveryBit) {
  const fs::path path = fs::temp_directory_path() / fmt::format("difftune_lora_{}.safetensors", getpid());
  const auto saved = make(layers, kAllLayers);
  load_golden(*saved);
  write_safetensors(path, saved->state(), Metadata{{"ss_network_dim", "4"}});
  const auto expected = saved->state();
  const auto loaded = make(layers, kAllLayers);
  loaded->load(SafetensorsFile(path));
  const auto state = loaded->state();
  for (size_t i = 0; i < state.size(); ++i)
    EXPECT_TRUE(at::equal(state[i].second, expected[i].second)) << state[i].first;
  EXPECT_TRUE(loaded->parameters()[0].second.requires_grad());
  fs::remove(path);
}

TEST_F(LoraNetworkTest, RanksAndAlphasFromAFile) {
  const at::Tensor alpha = at::scalar_tensor(0.5);
  const MemorySource file({{"conv3x3.lora_down.weight", at::zeros({2, 8, 3, 3})},
                           {"conv3x3.lora_up.weight", at::zeros({12, 2, 1, 1})},
                           {"conv3x3.alpha", alpha},
                           {"linear.lora_down.weight", at::zeros({5, 12})},
                           {"linear.lora_up.weight", at::zeros({20, 5})}});
  const auto dims = lora_dims(file);
  EXPECT_EQ(dims.at("conv3x3"), std::pair(int64_t{2}, 0.5));
  EXPECT_EQ(dims.at("linear"), std::pair(int64_t{5}, 5.0));
  const auto network = make(layers, {.dims_by_module = dims});
  network->load(file);
  const auto state = network->state();
  EXPECT_THAT(keys_of(state), ElementsAre("linear.alpha", "linear.lora_down.weight", "linear.lora_up.weight",
                                          "conv3x3.alpha", "conv3x3.lora_down.weight", "conv3x3.lora_up.weight"));
  EXPECT_EQ(state[0].second.item<double>(), 5);
  EXPECT_EQ(state[3].second.item<double>(), 0.5);
}

TEST_F(LoraNetworkTest, AFractionFromAFileIsKeptWhereAlphaWasAnInteger) {
  const auto network = make(layers, {.rank = 4, .alpha = 1, .alpha_is_integer = true});
  network->load(
      MemorySource({{"linear.lora_down.weight", golden("linear.down")}, {"linear.alpha", at::scalar_tensor(0.5)}}));
  EXPECT_EQ(network->state()[0].second.item<double>(), 0.5);
}

TEST_F(LoraNetworkTest, BadFilesAreOneLine) {
  const auto network = make(layers, kAllLayers);
  const MemorySource other_rank({{"linear.lora_down.weight", at::zeros({8, 12})}}, {}, "my.safetensors");
  EXPECT_THAT(error_of([&] { network->load(other_rank); }),
              HasSubstr("my.safetensors: linear.lora_down.weight has shape 8x12, expected 4x12"));
  const MemorySource stranger({{"unet.weight", at::zeros({1})}}, {}, "other.safetensors");
  EXPECT_THAT(error_of([&] { network->load(stranger); }), HasSubstr("none of its 1 keys belongs to a LoRA"));
  EXPECT_THAT(error_of([&] { lora_dims(stranger); }), HasSubstr("other.safetensors: holds no LoRA"));
  const MemorySource two_alphas({{"linear.lora_down.weight", at::zeros({4, 12})}, {"linear.alpha", at::zeros({2})}}, {},
                                "bad.safetensors");
  EXPECT_THAT(error_of([&] { lora_dims(two_alphas); }), HasSubstr("bad.safetensors: linear.alpha has 2 values"));
  const MemorySource no_axes({{"linear.lora_down.weight", at::scalar_tensor(1)}}, {}, "bad.safetensors");
  EXPECT_THAT(error_of([&] { lora_dims(no_axes); }), HasSubstr("bad.safetensors: linear.lora_down.weight"));
}

TEST_F(LoraNetworkTest, MergesAsTheForwardComputes) {
  std::vector<NamedTensor> tensors;
  for (const std::string layer : {"linear", "conv1x1", "conv3x3"}) {
    tensors.emplace_back(layer + ".lora_down.weight", golden(layer + ".down"));
    tensors.emplace_back(layer + ".lora_up.weight", golden(layer + ".up"));
    tensors.emplace_back(layer + ".alpha", at::scalar_tensor(2));
  }
  EXPECT_EQ(merge_lora_into(MemorySource(tensors), layers.targets(), 0.75), 3);
  for (const nn::Layer* layer : layers.index.layers) {
    EXPECT_LT(relative_error(layer->weight, golden(layer->path() + ".merged")), 1e-6) << layer->path();
    EXPECT_LT(relative_error((*layer)(golden(layer->path() + ".in")), golden(layer->path() + ".plain.out")), 1e-6);
  }
}

TEST_F(LoraNetworkTest, MergingRefusesWhatDoesNotFit) {
  const auto file = [](std::vector<NamedTensor> tensors) {
    return MemorySource(std::move(tensors), {}, "l.safetensors");
  };
  const NamedTensor down = {"linear.lora_down.weight", at::zeros({4, 12})};
  const auto merge = [&](const MemorySource& source) {
    return error_of([&] { merge_lora_into(source, layers.targets(), 1); });
  };
  EXPECT_THAT(merge(file({{"other.lora_down.weight", at::zeros({1, 1})}})), HasSubstr("none of its 1 modules"));
  EXPECT_THAT(merge(file({down})), HasSubstr("linear.lora_up.weight"));
  EXPECT_THAT(merge(file({down, {"linear.lora_up.weight", at::zeros({19, 4})}})), HasSubstr("do not fit"));
  EXPECT_THAT(merge(file({down, {"linear.lora_up.weight", at::zeros({20, 3})}})), HasSubstr("do not fit"));
  EXPECT_THAT(
      merge(file({{"linear.lora_down.weight", at::zeros({0, 12})}, {"linear.lora_up.weight", at::zeros({20, 0})}})),
      HasSubstr("linear"));
}

TEST_F(LoraNetworkTest, LearningRatesByPart) {
  auto targets = layers.targets();
  targets[0].component = 1;
  const LoraNetwork network(kAllLayers, targets, cpu_generator(), c10::kCPU);
  const auto groups = network.parameter_groups({.base = 1e-3, .denoiser = 1e-4, .text_encoders = {}});
  ASSERT_THAT(groups, SizeIs(2));
  EXPECT_EQ(groups[0].name, "textencoder");
  EXPECT_EQ(groups[0].learning_rate, 1e-3);
  EXPECT_THAT(groups[0].parameters, SizeIs(2));
  EXPECT_EQ(groups[1].name, "unet");
  EXPECT_EQ(groups[1].learning_rate, 1e-4);
  EXPECT_THAT(groups[1].parameters, SizeIs(4));
  const auto only_unet = network.parameter_groups({.base = 1e-3, .denoiser = std::nullopt, .text_encoders = {0.0}});
  ASSERT_THAT(only_unet, SizeIs(1));
  EXPECT_EQ(only_unet[0].name, "unet");
}

TEST_F(LoraNetworkTest, LoraPlusRaisesTheUpMatrices) {
  auto targets = layers.targets();
  targets[0].component = 1;
  LoraConfig config = kAllLayers;
  config.plus_ratio = 16;
  config.text_encoder_plus_ratio = 4;
  const LoraNetwork network(config, targets, cpu_generator(), c10::kCPU);
  const auto groups = network.parameter_groups({.base = 1e-3, .denoiser = 1e-4, .text_encoders = {2e-4}});
  ASSERT_THAT(groups, SizeIs(4));
  EXPECT_EQ(groups[1].name, "textencoder plus");
  EXPECT_DOUBLE_EQ(groups[1].learning_rate, 8e-4);
  EXPECT_EQ(groups[3].name, "unet plus");
  EXPECT_DOUBLE_EQ(groups[3].learning_rate, 1.6e-3);
  EXPECT_THAT(groups[2].parameters, SizeIs(2));
  EXPECT_TRUE(groups[3].parameters[0].is_same(network.parameters()[3].second));
}

TEST_F(LoraNetworkTest, NormsOfTheChanges) {
  const auto network = make(layers, kAllLayers);
  load_golden(*network);
  const auto norms = network->change_norms();
  ASSERT_THAT(norms, SizeIs(3));
  for (const auto& [name, norm] : norms) {
    EXPECT_THAT(norm, DoubleNear(at::norm(golden(name + ".change")).item<double>(), 1e-4)) << name;
  }
}

TEST_F(LoraNetworkTest, LimitsTheNormsAboveTheLimitOnly) {
  const auto network = make(layers, kAllLayers);
  load_golden(*network);
  const auto before = network->change_norms();
  double low = INFINITY, high = 0;
  for (const auto& [name, norm] : before) low = std::min(low, norm), high = std::max(high, norm);
  const double limit = (low + high) / 2;
  const auto result = network->limit_weight_norms(limit);
  double mean = 0;
  int64_t num_above = 0;
  const auto after = network->change_norms();
  for (size_t i = 0; i < before.size(); ++i) {
    EXPECT_THAT(after[i].second, DoubleNear(std::min(before[i].second, limit), 1e-4)) << before[i].first;
    mean += after[i].second / 3;
    num_above += before[i].second > limit;
  }
  EXPECT_EQ(result.num_scaled, num_above);
  EXPECT_THAT(result.mean, DoubleNear(mean, 1e-4));
  EXPECT_THAT(result.max, DoubleNear(limit, 1e-4));
}

TEST_F(LoraNetworkTest, SmallNormsAreReportedAsTheyAre) {
  const auto network = make(layers, kAllLayers);
  const auto result = network->limit_weight_norms(10);  // up is zero
  EXPECT_EQ(result.num_scaled, 0);
  EXPECT_EQ(result.mean, 0);
  EXPECT_EQ(result.max, 0);
}

}  // namespace
}  // namespace difftune
