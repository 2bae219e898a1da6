// What LoRA modules compute: initial values, outputs, gradients and the draws of dropout, against torch.nn.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/rand.h>

#include <map>

#include "small_layers.h"

namespace difftune {
namespace {

TEST(Lora, InitialValuesAreDrawnInTheOrderOfTorch) {
  SmallLayers layers;
  nn::seed_generators(7);
  const LoraNetwork network(kAllLayers, layers.targets(), cpu_generator(), c10::kCPU);
  for (const auto& [key, value] : network.parameters()) {
    const std::string layer = key.substr(0, key.find('.'));
    const bool is_down = key.ends_with("down.weight");
    EXPECT_TRUE(is_down ? at::equal(value, golden(layer + ".down0")) : value.count_nonzero().item<int64_t>() == 0)
        << key;
  }
  EXPECT_TRUE(at::equal(at::rand({3}), golden("next_draw")));
}

TEST(Lora, ModulesThatAreNotTrainedDrawAllTheSame) {
  SmallLayers layers;
  auto targets = layers.targets();
  targets[0].component = 1;
  LoraConfig config = kAllLayers;
  config.train_text_encoders = false;
  nn::seed_generators(7);
  const LoraNetwork network(config, targets, cpu_generator(), c10::kCPU);
  EXPECT_EQ(network.num_modules(1), 0);
  EXPECT_TRUE(at::equal(network.parameters()[0].second, golden("conv1x1.down0")));
  EXPECT_EQ(layers.linear.adapter(), nullptr);
}

TEST(Lora, TextEncodersComeFirstWhateverTheOrderOfTargets) {
  SmallLayers layers;
  auto targets = layers.targets();
  targets[2].component = 1;
  const LoraNetwork network(kAllLayers, targets, cpu_generator(), c10::kCPU);
  EXPECT_EQ(network.parameters()[0].first, "conv3x3.lora_down.weight");
  EXPECT_EQ(network.num_modules(0), 2);
  EXPECT_EQ(network.num_modules(1), 1);
}

TEST(Lora, DropoutDrawsInTheOrderOfAxesWhateverTheMemoryFormat) {
  SmallLayers layers;
  LoraConfig config = kAllLayers;
  config.dropout = 0.5;
  LoraNetwork network(config, layers.targets(), cpu_generator(), c10::kCPU);
  load_golden(network);
  for (const nn::Layer* layer : {static_cast<nn::Layer*>(&layers.conv1x1), static_cast<nn::Layer*>(&layers.conv3x3)}) {
    const at::Tensor input = golden(layer->path() + ".in");
    ASSERT_FALSE(input.is_contiguous(at::MemoryFormat::ChannelsLast));
    nn::seed_generators(3);
    const at::Tensor plain = (*layer)(input);
    nn::seed_generators(3);
    const at::Tensor channels_last = (*layer)(input.contiguous(at::MemoryFormat::ChannelsLast));
    EXPECT_LT(relative_error(channels_last, plain), 1e-6) << layer->path();
  }
}

struct Case {
  const char* name;
  std::optional<double> neuron, rank, module;
  uint64_t seed;
};

class LoraCase : public testing::TestWithParam<Case> {};

TEST_P(LoraCase, OutputAndGradients) {
  const Case& c = GetParam();
  SmallLayers layers;
  LoraConfig config = kAllLayers;
  config.dropout = c.neuron;
  config.rank_dropout = c.rank;
  config.module_dropout = c.module;
  LoraNetwork network(config, layers.targets(), cpu_generator(), c10::kCPU);
  load_golden(network);
  network.set_multiplier(0.75);
  auto parameters = network.parameters();
  std::map<std::string, at::Tensor> by_key(parameters.begin(), parameters.end());
  for (const nn::Layer* layer : layers.index.layers) {
    const std::string at = layer->path() + "." + c.name + ".";
    const at::Tensor input = golden(layer->path() + ".in").requires_grad_(true);
    nn::seed_generators(c.seed);
    const at::Tensor output = (*layer)(input);
    output.backward(golden(layer->path() + ".d_out"));
    EXPECT_LT(relative_error(output, golden(at + "out")), 1e-6) << at;
    EXPECT_LT(relative_error(input.grad(), golden(at + "d_in")), 1e-6) << at;
    for (const std::string side : {"down", "up"}) {
      const at::Tensor grad = by_key.at(layer->path() + ".lora_" + side + ".weight").grad();
      const at::Tensor expected = golden(at + "d_" + side);
      if (!grad.defined()) {
        EXPECT_EQ(expected.count_nonzero().item<int64_t>(), 0) << at << side;
      } else {
        EXPECT_LT(relative_error(grad, expected), 1e-6) << at << side;
      }
    }
  }
}

TEST_P(LoraCase, DropoutActsInTrainingOnly) {
  const Case& c = GetParam();
  SmallLayers layers;
  LoraConfig config = kAllLayers;
  config.dropout = c.neuron;
  config.rank_dropout = c.rank;
  config.module_dropout = c.module;
  LoraNetwork network(config, layers.targets(), cpu_generator(), c10::kCPU);
  load_golden(network);
  network.set_multiplier(0.75);
  network.set_training(false);
  for (const nn::Layer* layer : layers.index.layers) {
    EXPECT_LT(relative_error((*layer)(golden(layer->path() + ".in")), golden(layer->path() + ".plain.out")), 1e-6);
  }
}

INSTANTIATE_TEST_SUITE_P(, LoraCase,
                         testing::Values(Case{"plain", {}, {}, {}, 0}, Case{"neuron", 0.3, {}, {}, 11},
                                         Case{"rank", {}, 0.4, {}, 12}, Case{"module_kept", {}, {}, 0.5, 1},
                                         Case{"module_dropped", {}, {}, 0.5, 3}, Case{"all", 0.2, 0.3, 0.1, 5}),
                         [](const auto& info) { return info.param.name; });

TEST(Lora, InputsWithoutGradientStillTrainTheMatrices) {
  SmallLayers layers;
  LoraNetwork network(kAllLayers, layers.targets(), cpu_generator(), c10::kCPU);
  load_golden(network);
  network.set_multiplier(0.75);
  layers.linear(golden("linear.in")).backward(golden("linear.d_out"));
  EXPECT_LT(relative_error(network.parameters()[0].second.grad(), golden("linear.plain.d_down")), 1e-6);
  EXPECT_LT(relative_error(network.parameters()[1].second.grad(), golden("linear.plain.d_up")), 1e-6);
}

TEST(Lora, MatricesInFp32UnderLayersInBFloat16) {
  SmallLayers layers;
  layers.linear.weight = layers.linear.weight.to(at::kBFloat16);
  layers.linear.bias = layers.linear.bias.to(at::kBFloat16);
  LoraNetwork network(kAllLayers, layers.targets(), cpu_generator(), c10::kCPU);
  load_golden(network);
  network.set_multiplier(0.75);
  const at::Tensor output = layers.linear(golden("linear.in").to(at::kBFloat16));
  output.backward(golden("linear.d_out").to(at::kBFloat16));
  EXPECT_EQ(output.scalar_type(), at::kBFloat16);
  EXPECT_LT(relative_error(output.to(at::kFloat), golden("linear.plain.out")), 1e-2);
  const at::Tensor grad = network.parameters()[0].second.grad();
  EXPECT_EQ(grad.scalar_type(), at::kFloat);
  EXPECT_LT(relative_error(grad, golden("linear.plain.d_down")), 2e-2);
}

TEST(Lora, LeavesTheLayersAsTheyWere) {
  SmallLayers layers;
  { const LoraNetwork network(kAllLayers, layers.targets(), cpu_generator(), c10::kCPU); }
  for (const nn::Layer* layer : layers.index.layers) EXPECT_EQ(layer->adapter(), nullptr);
}

}  // namespace
}  // namespace difftune
