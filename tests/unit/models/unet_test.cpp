// The U-Net against UNet2DConditionModel of Diffusers (tests/data/models/make_models.py).
#include "models/unet.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>

#include "golden_model.h"

namespace difftune {
namespace {

struct Case {
  const char* file;
  UNetConfig config;
};

UNetConfig small(std::vector<int64_t> depth, std::vector<int64_t> heads, bool linear, int64_t vector_size = 0) {
  return {.block_channels = {8, 16},
          .transformer_depth = std::move(depth),
          .num_heads = std::move(heads),
          .num_resnets_per_block = 1,
          .context_size = 24,
          .norm_groups = 4,
          .uses_linear_projection = linear,
          .vector_size = vector_size};
}

const std::vector<Case> kCases = {{"unet_sd1", small({1, 0}, {4, 4}, false)},
                                  {"unet_sd2", small({1, 0}, {2, 4}, true)},
                                  {"unet_sdxl", small({0, 2}, {2, 4}, true, 60)}};

UNet::Input input_of(const GoldenModel& golden, bool with_gradient) {
  const at::Tensor vector = golden.names("in.vector").empty() ? at::Tensor() : golden["in.vector"];
  return {golden["in.sample"].requires_grad_(with_gradient), golden["in.timesteps"],
          golden["in.context"].requires_grad_(with_gradient), vector};
}

class UNetTest : public testing::TestWithParam<Case> {
 protected:
  GoldenModel golden{GetParam().file};
  GoldenReader reader{golden};
  UNet unet{GetParam().config, reader};
};

TEST_P(UNetTest, HasDiffusersParameters) { expect_parameters(unet.index(), golden); }

TEST_P(UNetTest, PredictsWhatDiffusersPredicts) {
  const at::NoGradGuard no_grad;
  EXPECT_LT(relative_error(unet.forward(input_of(golden, false)), golden["out.prediction"]), 2e-6);
}

TEST_P(UNetTest, GradientsOfATrainedUNet) {
  require_gradients(unet.index());
  const auto input = input_of(golden, true);
  unet.forward(input).backward(golden["d_out"]);
  EXPECT_LT(relative_error(input.sample.grad(), golden["d_in.sample"]), 1e-5);
  EXPECT_LT(relative_error(input.context.grad(), golden["d_in.context"]), 1e-5);
  expect_weight_gradients(unet.index(), golden, 1e-5);
}

TEST_P(UNetTest, GradientsThroughAFrozenUNet) {
  const auto input = input_of(golden, true);
  unet.forward(input).backward(golden["d_out"]);
  EXPECT_LT(relative_error(input.sample.grad(), golden["d_in.sample"]), 1e-5);
  EXPECT_LT(relative_error(input.context.grad(), golden["d_in.context"]), 1e-5);
}

// One fixture for both runs, as only `unet` differs in what it keeps.
TEST_P(UNetTest, CheckpointingChangesNoBit) {
  for (const bool is_trained : {false, true}) {
    std::vector<at::Tensor> results[2];
    for (const bool checkpoints : {false, true}) {
      UNet model(GetParam().config, reader);
      if (is_trained) require_gradients(model.index());
      model.set_gradient_checkpointing(checkpoints);
      const auto input = input_of(golden, true);
      const at::Tensor prediction = model.forward(input);
      prediction.backward(golden["d_out"]);
      results[checkpoints] = {prediction, input.sample.grad(), input.context.grad()};
      for (const auto& parameter : model.index().parameters) {
        if (is_trained) results[checkpoints].push_back(parameter.tensor->grad());
      }
    }
    for (size_t i = 0; i < results[0].size(); ++i) EXPECT_TRUE(at::equal(results[0][i], results[1][i])) << i;
  }
}

TEST_P(UNetTest, BFloat16StaysClose) {
  const at::NoGradGuard no_grad;
  GoldenReader bf16_reader(golden, at::kBFloat16);
  const UNet model(GetParam().config, bf16_reader);
  const at::Tensor prediction = model.forward(input_of(golden, false));
  EXPECT_EQ(prediction.scalar_type(), at::kBFloat16);
  EXPECT_LT(relative_error(prediction, golden["out.prediction"]), 3e-2);
}

// The slots of all layers, which note in which order they are asked.
struct OrderOfCalls : nn::LayerAdapter {
  std::vector<std::string> paths;
  at::Tensor forward(const nn::Layer& layer, const at::Tensor& input) override {
    paths.push_back(layer.path());
    return layer.base_forward(input);
  }
};

// Adapters draw their dropout when they are asked, so the order is part of what a seed gives.
TEST_P(UNetTest, AsksForQueryKeyAndValueInThisOrder) {
  const at::NoGradGuard no_grad;
  OrderOfCalls order;
  for (nn::Layer* layer : unet.index().layers) layer->set_adapter(&order);
  unet.forward(input_of(golden, false));
  size_t num_attentions = 0;
  for (size_t i = 0; i < order.paths.size(); ++i) {
    if (!order.paths[i].ends_with(".to_q")) continue;
    const std::string attention = order.paths[i].substr(0, order.paths[i].size() - 4);
    ASSERT_LT(i + 3, order.paths.size());
    EXPECT_EQ(order.paths[i + 1], attention + "to_k");
    EXPECT_EQ(order.paths[i + 2], attention + "to_v");
    EXPECT_EQ(order.paths[i + 3], attention + "to_out.0");
    ++num_attentions;
  }
  EXPECT_GE(num_attentions, 4u);
}

INSTANTIATE_TEST_SUITE_P(, UNetTest, testing::ValuesIn(kCases), [](const auto& info) { return info.param.file; });

TEST(UNet, RefusesToGuessItsVector) {
  const GoldenModel golden("unet_sdxl");
  GoldenReader reader(golden);
  const UNet unet(kCases[2].config, reader);
  auto input = input_of(golden, false);
  input.vector = at::Tensor();
  EXPECT_THROW(unet.forward(input), InternalError);
}

}  // namespace
}  // namespace difftune
