// The encoder against Gemma2Model of transformers, with sdpa attention (no cap of scores) and its own
// (tests/data/models/make_text_encoders.py).
#include "models/gemma2.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>

#include "golden_model.h"

namespace difftune {
namespace {

class Gemma2Test : public testing::TestWithParam<bool> {
 protected:
  Gemma2Config config{.vocabulary_size = 60,
                      .hidden_size = 24,
                      .intermediate_size = 40,
                      .num_layers = 4,
                      .num_heads = 4,
                      .num_key_value_heads = 2,
                      .head_size = 8,
                      .query_scale = 1 / std::sqrt(8.0),
                      .score_cap = GetParam() ? 2.0 : 0.0};
  GoldenModel golden{GetParam() ? "gemma2_capped" : "gemma2"};
  GoldenReader reader{golden};
  Gemma2 gemma{config, reader};
};

TEST_P(Gemma2Test, StatesOfTransformers) {
  const at::NoGradGuard no_grad;
  const at::Tensor masked = gemma.forward(golden["in.ids"], golden["in.mask"]);
  EXPECT_LT(relative_error(masked, golden["out.masked"]), 1e-6);
  EXPECT_LT(relative_error(gemma.forward(golden["in.ids"]), golden["out.plain"]), 1e-6);
}

TEST_P(Gemma2Test, TheCapMatters) {
  const at::NoGradGuard no_grad;
  const GoldenModel other(GetParam() ? "gemma2" : "gemma2_capped");
  EXPECT_GT(relative_error(other["out.plain"], golden["out.plain"]), 1e-2);
}

TEST_P(Gemma2Test, Gradients) {
  require_gradients(gemma.index());
  gemma.forward(golden["in.ids"], golden["in.mask"]).backward(golden["d_out"]);
  expect_weight_gradients(gemma.index(), golden, 1e-5);
}

// The gradient passes frozen layers, as it does for a LoRA below them.
TEST_P(Gemma2Test, GradientOfOneLayerAmongFrozenOnes) {
  for (const bool checkpoints : {false, true}) {
    const std::string path = "layers.0.self_attn.q_proj";
    nn::Layer* layer = gemma.index().find_layer(path);
    ASSERT_NE(layer, nullptr);
    layer->weight.requires_grad_(true).mutable_grad().reset();
    gemma.set_gradient_checkpointing(checkpoints);
    gemma.forward(golden["in.ids"], golden["in.mask"]).backward(golden["d_out"]);
    EXPECT_LT(relative_error(layer->weight.grad(), golden["d_weight." + path + ".weight"]), 1e-5) << checkpoints;
  }
}

TEST_P(Gemma2Test, HasTheParametersOfTransformers) { expect_parameters(gemma.index(), golden); }

TEST_P(Gemma2Test, LayersInTheOrderOfTransformers) {
  const char* names[] = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
                         "mlp.gate_proj",    "mlp.up_proj",      "mlp.down_proj"};
  ASSERT_EQ(gemma.index().layers.size(), 4 * std::size(names));
  for (size_t i = 0; i < std::size(names); ++i) {
    EXPECT_EQ(gemma.index().layers[i]->path(), std::string("layers.0.") + names[i]);
  }
}

TEST_P(Gemma2Test, BFloat16StaysClose) {
  const at::NoGradGuard no_grad;
  GoldenReader narrow_reader(golden, at::kBFloat16);
  const Gemma2 model(config, narrow_reader);
  const at::Tensor states = model.forward(golden["in.ids"], golden["in.mask"]);
  EXPECT_EQ(states.scalar_type(), at::kBFloat16);
  EXPECT_LT(relative_error(states, golden["out.masked"]), 4e-2);
}

INSTANTIATE_TEST_SUITE_P(, Gemma2Test, testing::Bool(),
                         [](const auto& info) { return info.param ? "capped" : "uncapped"; });

}  // namespace
}  // namespace difftune
