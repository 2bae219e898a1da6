// MMDiT against SD3Transformer2DModel of Diffusers (tests/data/models/make_dit.py).
#include "models/mmdit.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randint.h>

#include "golden_model.h"

namespace difftune {
namespace {

struct Case {
  const char* file;
  MMDiTConfig config;
};

MMDiTConfig small(bool has_qk_norm, std::vector<bool> has_self_attention) {
  return {.in_channels = 4,
          .hidden_size = 16,
          .mlp_size = 64,
          .num_heads = 2,
          .num_blocks = 2,
          .context_size = 24,
          .vector_size = 12,
          .num_positions = 36,
          .has_qk_norm = has_qk_norm,
          .has_self_attention = std::move(has_self_attention)};
}

const std::vector<Case> kCases = {{"sd3_medium", small(false, {})}, {"sd35_medium", small(true, {true})}};

MMDiT::Input input_of(const GoldenModel& golden, bool with_gradient) {
  return {golden["in.latents"].requires_grad_(with_gradient), golden["in.timesteps"],
          golden["in.context"].requires_grad_(with_gradient), golden["in.vector"].requires_grad_(with_gradient)};
}

class MMDiTTest : public testing::TestWithParam<Case> {
 protected:
  GoldenModel golden{GetParam().file};
  GoldenReader reader{golden};
  MMDiT model{GetParam().config, reader};
};

TEST_P(MMDiTTest, HasTheCheckpointsParameters) { expect_parameters(model.index(), golden); }

TEST_P(MMDiTTest, PredictsWhatDiffusersPredicts) {
  const at::NoGradGuard no_grad;
  EXPECT_LT(relative_error(model.forward(input_of(golden, false)), golden["out.prediction"]), 2e-6);
}

TEST_P(MMDiTTest, Gradients) {
  for (const bool is_trained : {false, true}) {
    if (is_trained) require_gradients(model.index());
    const auto input = input_of(golden, true);
    model.forward(input).backward(golden["d_out"]);
    EXPECT_LT(relative_error(input.latents.grad(), golden["d_in.latents"]), 1e-5);
    EXPECT_LT(relative_error(input.context.grad(), golden["d_in.context"]), 1e-5);
    EXPECT_LT(relative_error(input.vector.grad(), golden["d_in.vector"]), 1e-5);
  }
  expect_weight_gradients(model.index(), golden, 1e-5);
}

TEST_P(MMDiTTest, CheckpointingChangesNoBit) {
  std::vector<at::Tensor> results[2];
  for (const bool checkpoints : {false, true}) {
    MMDiT one(GetParam().config, reader);
    require_gradients(one.index());
    one.set_gradient_checkpointing(checkpoints);
    const auto input = input_of(golden, true);
    const at::Tensor prediction = one.forward(input);
    prediction.backward(golden["d_out"]);
    results[checkpoints] = {prediction, input.latents.grad(), input.context.grad(), input.vector.grad()};
    for (const auto& parameter : one.index().parameters) {
      if (parameter.tensor->grad().defined()) results[checkpoints].push_back(parameter.tensor->grad());
    }
  }
  ASSERT_EQ(results[0].size(), results[1].size());
  for (size_t i = 0; i < results[0].size(); ++i) EXPECT_TRUE(at::equal(results[0][i], results[1][i])) << i;
}

INSTANTIATE_TEST_SUITE_P(, MMDiTTest, testing::ValuesIn(kCases), [](const auto& info) { return info.param.file; });

TEST(MMDiT, AnExchangeOfHeadsChangesTheSelfAttention) {
  const at::NoGradGuard no_grad;
  const GoldenModel golden("sd35_medium");
  GoldenReader reader(golden);
  MMDiTConfig config = kCases[1].config;
  config.exchanges_self_attention_heads = true;
  const MMDiT model(config, reader);
  EXPECT_GT(relative_error(model.forward(input_of(golden, false)), golden["out.prediction"]), 1e-4);
}

TEST(MMDiT, PlacesAPictureByItsGenerator) {
  const at::NoGradGuard no_grad;
  const GoldenModel golden("sd3_medium");
  GoldenReader reader(golden);
  const MMDiT model(kCases[0].config, reader);
  auto input = input_of(golden, false);
  at::Tensor results[2];
  for (auto& result : results) {
    input.place = at::detail::createCPUGenerator(5);
    result = model.forward(input);
  }
  EXPECT_TRUE(at::equal(results[0], results[1]));
}

TEST(ScaledPositions, AreThoseOfTheReference) {
  const GoldenModel golden("sd3_reference");
  const ScaledPositions positions({7, 4, 7}, 8);
  EXPECT_LT(relative_error(positions.table(4, 4).flatten(0, 1), golden["positions_4"]), 1e-5);
  EXPECT_LT(relative_error(positions.table(7, 7).flatten(0, 1), golden["positions_7"]), 1e-5);
  // Between the two areas, 32 patches and fewer are the smaller one's; beyond its table there is one of its own.
  EXPECT_EQ(positions.table(4, 8).size(0), 12);
  EXPECT_EQ(positions.table(5, 7).size(0), 10);
}

}  // namespace
}  // namespace difftune
