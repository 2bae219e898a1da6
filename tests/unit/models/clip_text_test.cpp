// The text encoder against CLIPTextModel of transformers (tests/data/models/make_models.py).
#include "models/clip_text.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/zeros.h>

#include "golden_model.h"

namespace difftune {
namespace {

class ClipTextTest : public testing::TestWithParam<bool> {
 protected:
  ClipTextConfig config{.vocabulary_size = 50,
                        .max_positions = 11,
                        .hidden_size = 32,
                        .intermediate_size = 64,
                        .num_layers = 3,
                        .num_heads = 4,
                        .uses_quick_gelu = GetParam()};
  GoldenModel golden{GetParam() ? "clip_quick_gelu" : "clip_gelu"};
  GoldenReader reader{golden};
  ClipText clip{config, reader};
};

TEST_P(ClipTextTest, HiddenStatesOfEveryLayer) {
  const at::NoGradGuard no_grad;
  const auto output = clip.forward(golden["in.ids"]);
  ASSERT_EQ(output.hidden_states.size(), 4u);
  for (int i = 0; i < 4; ++i) {
    EXPECT_LT(relative_error(output.hidden_states[i], golden["out.hidden_" + std::to_string(i)]), 1e-6) << i;
  }
  EXPECT_LT(relative_error(clip.final_layer_norm(output.hidden_states[3]), golden["out.last_hidden_state"]), 1e-6);
}

TEST_P(ClipTextTest, Gradients) {
  require_gradients(clip.index());
  clip.final_layer_norm(clip.forward(golden["in.ids"]).hidden_states.back()).backward(golden["d_out"]);
  expect_weight_gradients(clip.index(), golden, 1e-5);
}

TEST_P(ClipTextTest, ATokenSeesNoLaterOne) {
  const at::NoGradGuard no_grad;
  const at::Tensor ids = golden["in.ids"];
  const at::Tensor before = clip.forward(ids).hidden_states.back();
  ids.select(1, 5).fill_(7);
  const at::Tensor after = clip.forward(ids).hidden_states.back();
  EXPECT_LT(relative_error(after.slice(1, 0, 5), before.slice(1, 0, 5)), 1e-6);
  for (int i = 5; i < 9; ++i) EXPECT_GT(relative_error(after.select(1, i), before.select(1, i)), 1e-3) << i;
}

TEST_P(ClipTextTest, CheckpointingChangesNoBit) {
  std::vector<at::Tensor> results[2];
  for (const bool checkpoints : {false, true}) {
    ClipText model(config, reader);
    require_gradients(model.index());
    model.set_gradient_checkpointing(checkpoints);
    const at::Tensor states = model.final_layer_norm(model.forward(golden["in.ids"]).hidden_states.back());
    states.backward(golden["d_out"]);
    results[checkpoints] = {states};
    for (const auto& parameter : model.index().parameters) results[checkpoints].push_back(parameter.tensor->grad());
  }
  for (size_t i = 0; i < results[0].size(); ++i) EXPECT_TRUE(at::equal(results[0][i], results[1][i])) << i;
}

// With frozen weights nothing in front of a segment asks for a gradient; only what sits inside (a LoRA) does.
TEST_P(ClipTextTest, CheckpointsWithoutAnyGradientToGive) {
  clip.set_gradient_checkpointing(true);
  const auto output = clip.forward(golden["in.ids"]);
  EXPECT_LT(relative_error(output.hidden_states[3], golden["out.hidden_3"]), 1e-6);
}

TEST_P(ClipTextTest, BFloat16StaysClose) {
  const at::NoGradGuard no_grad;
  GoldenReader bf16_reader(golden, at::kBFloat16);
  const ClipText model(config, bf16_reader);
  const at::Tensor states = model.final_layer_norm(model.forward(golden["in.ids"]).hidden_states.back());
  EXPECT_LT(relative_error(states, golden["out.last_hidden_state"]), 3e-2);
}

TEST_P(ClipTextTest, LayersInTheOrderOfTransformers) {
  const auto& layers = clip.index().layers;
  ASSERT_EQ(layers.size(), 18u);
  const char* names[] = {"self_attn.k_proj",   "self_attn.v_proj", "self_attn.q_proj",
                         "self_attn.out_proj", "mlp.fc1",          "mlp.fc2"};
  for (int i = 0; i < 6; ++i) EXPECT_EQ(layers[i]->path(), std::string("text_model.encoder.layers.0.") + names[i]);
}

INSTANTIATE_TEST_SUITE_P(, ClipTextTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "quick_gelu" : "gelu"; });

// As SD3 uses it (tests/data/models/make_text_encoders.py).
TEST(ClipText, MaskedPaddingIsNotSeen) {
  const GoldenModel golden("clip_masked");
  GoldenReader reader(golden);
  ClipText clip({30, 11, 16, 32, 3, 2, false, 12}, reader);
  require_gradients(clip.index());
  for (const bool checkpoints : {false, true}) {
    clip.set_gradient_checkpointing(checkpoints);
    const auto states = clip.forward(golden["in.ids"], std::nullopt, golden["in.mask"]).hidden_states;
    EXPECT_LT(relative_error(states[2], golden["out.hidden"]), 2e-6);
    EXPECT_LT(relative_error(clip.pool(states[3], golden["in.ids"], 29), golden["out.pooled"]), 2e-6);
    for (const auto& parameter : clip.index().parameters) parameter.tensor->mutable_grad().reset();
    states[2].backward(golden["d_out"]);
    expect_weight_gradients(clip.index(), golden, 1e-5);
  }
}

TEST(ClipText, RefusesMoreTokensThanPositions) {
  const GoldenModel golden("clip_gelu");
  GoldenReader reader(golden);
  const ClipText clip({50, 11, 32, 64, 3, 4, false}, reader);
  EXPECT_THROW(clip.forward(at::zeros({1, 12}, at::kLong)), InternalError);
}

}  // namespace
}  // namespace difftune
