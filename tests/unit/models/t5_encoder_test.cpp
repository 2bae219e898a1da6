// The encoder against T5EncoderModel of transformers (tests/data/models/make_text_encoders.py).
#include "models/t5_encoder.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>

#include "golden_model.h"

namespace difftune {
namespace {

class T5EncoderTest : public testing::Test {
 protected:
  T5EncoderConfig config{.vocabulary_size = 60,
                         .hidden_size = 24,
                         .intermediate_size = 40,
                         .num_layers = 3,
                         .num_heads = 2,
                         .head_size = 8};
  GoldenModel golden{"t5"};
  GoldenReader reader{golden};
  T5Encoder t5{config, reader};
};

TEST_F(T5EncoderTest, StatesOfTransformers) {
  const at::NoGradGuard no_grad;
  EXPECT_LT(relative_error(t5.forward(golden["in.ids"]), golden["out.plain"]), 2e-6);
  EXPECT_LT(relative_error(t5.forward(golden["in.pair"], golden["in.mask"]), golden["out.masked"]), 2e-6);
}

TEST_F(T5EncoderTest, MaskedTokensAreNotSeen) {
  const at::NoGradGuard no_grad;
  const at::Tensor mask = golden["in.mask"], ids = golden["in.pair"];
  ids.select(0, 0).slice(0, 5).fill_(3);
  const at::Tensor states = t5.forward(ids, mask);
  EXPECT_LT(relative_error(states[0].slice(0, 0, 5), golden["out.masked"][0].slice(0, 0, 5)), 1e-6);
  EXPECT_LT(relative_error(states[1], golden["out.masked"][1]), 1e-6);
}

TEST_F(T5EncoderTest, Gradients) {
  require_gradients(t5.index());
  t5.forward(golden["in.pair"], golden["in.mask"]).backward(golden["d_out"]);
  expect_weight_gradients(t5.index(), golden, 1e-5);
}

// The gradient passes frozen layers, as it does for a LoRA below them.
TEST_F(T5EncoderTest, GradientOfOneLayerAmongFrozenOnes) {
  for (const bool checkpoints : {false, true}) {
    const std::string path = "encoder.block.0.layer.0.SelfAttention.q";
    nn::Layer* layer = t5.index().find_layer(path);
    ASSERT_NE(layer, nullptr);
    layer->weight.requires_grad_(true).mutable_grad().reset();
    t5.set_gradient_checkpointing(checkpoints);
    t5.forward(golden["in.pair"], golden["in.mask"]).backward(golden["d_out"]);
    EXPECT_LT(relative_error(layer->weight.grad(), golden["d_weight." + path + ".weight"]), 1e-5) << checkpoints;
  }
}

TEST_F(T5EncoderTest, HasTheParametersOfTransformers) { expect_parameters(t5.index(), golden); }

TEST_F(T5EncoderTest, LayersInTheOrderOfTransformers) {
  const char* names[] = {"layer.0.SelfAttention.q",  "layer.0.SelfAttention.k",     "layer.0.SelfAttention.v",
                         "layer.0.SelfAttention.o",  "layer.1.DenseReluDense.wi_0", "layer.1.DenseReluDense.wi_1",
                         "layer.1.DenseReluDense.wo"};
  ASSERT_EQ(t5.index().layers.size(), 3 * std::size(names));
  for (size_t i = 0; i < std::size(names); ++i) {
    EXPECT_EQ(t5.index().layers[i]->path(), std::string("encoder.block.0.") + names[i]);
  }
}

TEST_F(T5EncoderTest, NarrowTypesStayClose) {
  const at::NoGradGuard no_grad;
  for (const auto dtype : {at::kBFloat16, at::kHalf}) {
    GoldenReader narrow_reader(golden, dtype);
    const T5Encoder model(config, narrow_reader);
    const at::Tensor states = model.forward(golden["in.pair"], golden["in.mask"]);
    EXPECT_EQ(states.scalar_type(), dtype);
    EXPECT_LT(relative_error(states, golden["out.masked"]), 4e-2);
  }
}

}  // namespace
}  // namespace difftune
