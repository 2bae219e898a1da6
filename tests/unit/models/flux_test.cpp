// FLUX against FluxTransformer2DModel of Diffusers, Chroma and masks against sd-scripts
// (tests/data/models/make_dit.py).
#include "models/flux.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>

#include "golden_model.h"
#include "models/chroma.h"

namespace difftune {
namespace {

FluxConfig small(int64_t head_size, bool has_guidance) {
  return {.in_channels = 16,
          .context_size = 24,
          .vector_size = 12,
          .hidden_size = 2 * head_size,
          .mlp_size = 8 * head_size,
          .num_heads = 2,
          .num_double_blocks = 1,
          .num_single_blocks = 2,
          .has_guidance = has_guidance};
}

at::Tensor optional_input(const GoldenModel& golden, const std::string& name) {
  return golden.names("in." + name).empty() ? at::Tensor() : golden["in." + name];
}

FluxInput input_of(const GoldenModel& golden, bool with_gradient) {
  FluxInput input;
  input.latents = golden["in.latents"].requires_grad_(with_gradient);
  input.timesteps = golden["in.timesteps"];
  input.text = golden["in.text"].requires_grad_(with_gradient);
  input.vector = optional_input(golden, "vector");
  if (input.vector.defined()) input.vector.requires_grad_(with_gradient);
  input.guidance = optional_input(golden, "guidance");
  return input;
}

// One of the models behind one interface.
struct AnyModel {
  std::function<at::Tensor(const FluxInput&)> forward;
  std::function<void(bool)> set_checkpointing;
  const nn::ModelIndex* index;
  std::shared_ptr<void> owner;
};

template <typename Model, typename Config>
AnyModel make(const Config& config, nn::ParameterReader& reader) {
  const auto model = std::make_shared<Model>(config, reader);
  return {[model](const FluxInput& input) { return model->forward(input); },
          [model](bool enabled) { model->set_gradient_checkpointing(enabled); }, &model->index(), model};
}

struct Case {
  const char* file;
  AnyModel (*make)(nn::ParameterReader& reader);
};

ChromaConfig small_chroma() {
  return {.blocks = small(16, true), .approximator_in = 64, .approximator_size = 20, .approximator_depth = 2};
}

const std::vector<Case> kCases = {
    {"flux_dev", [](nn::ParameterReader& reader) { return make<Flux>(small(16, true), reader); }},
    {"flux_schnell", [](nn::ParameterReader& reader) { return make<Flux>(small(8, false), reader); }},
    {"chroma", [](nn::ParameterReader& reader) { return make<Chroma>(small_chroma(), reader); }}};

class FluxTest : public testing::TestWithParam<Case> {
 protected:
  FluxInput input(bool with_gradient) const {
    FluxInput made = input_of(golden, with_gradient);
    if (std::string(GetParam().file) == "chroma") made.text_mask = golden["in.text_mask"];
    return made;
  }
  void expect_input_gradients(const FluxInput& input) const {
    EXPECT_LT(relative_error(input.latents.grad(), golden["d_in.latents"]), 1e-5);
    EXPECT_LT(relative_error(input.text.grad(), golden["d_in.text"]), 1e-5);
    if (!input.vector.defined()) return;
    EXPECT_LT(relative_error(input.vector.grad(), golden["d_in.vector"]), 1e-5);
  }

  GoldenModel golden{GetParam().file};
  GoldenReader reader{golden};
  AnyModel model = GetParam().make(reader);
};

TEST_P(FluxTest, HasTheCheckpointsParameters) { expect_parameters(*model.index, golden); }

TEST_P(FluxTest, Predicts) {
  const at::NoGradGuard no_grad;
  EXPECT_LT(relative_error(model.forward(input(false)), golden["out.prediction"]), 2e-6);
}

TEST_P(FluxTest, GradientsOfATrainedModel) {
  require_gradients(*model.index);
  const auto in = input(true);
  model.forward(in).backward(golden["d_out"]);
  expect_input_gradients(in);
  expect_weight_gradients(*model.index, golden, 1e-5);
}

TEST_P(FluxTest, GradientsThroughAFrozenModel) {
  const auto in = input(true);
  model.forward(in).backward(golden["d_out"]);
  expect_input_gradients(in);
}

TEST_P(FluxTest, CheckpointingChangesNoBit) {
  for (const bool is_trained : {false, true}) {
    std::vector<at::Tensor> results[2];
    for (const bool checkpoints : {false, true}) {
      const AnyModel one = GetParam().make(reader);
      if (is_trained) require_gradients(*one.index);
      one.set_checkpointing(checkpoints);
      const auto in = input(true);
      const at::Tensor prediction = one.forward(in);
      prediction.backward(golden["d_out"]);
      results[checkpoints] = {prediction, in.latents.grad(), in.text.grad()};
      for (const auto& parameter : one.index->parameters) {
        if (is_trained && parameter.tensor->grad().defined()) results[checkpoints].push_back(parameter.tensor->grad());
      }
    }
    ASSERT_EQ(results[0].size(), results[1].size());
    for (size_t i = 0; i < results[0].size(); ++i) EXPECT_TRUE(at::equal(results[0][i], results[1][i])) << i;
  }
}

TEST_P(FluxTest, BFloat16StaysClose) {
  const at::NoGradGuard no_grad;
  GoldenReader narrow(golden, at::kBFloat16);
  const at::Tensor prediction = GetParam().make(narrow).forward(input(false));
  EXPECT_EQ(prediction.scalar_type(), at::kBFloat16);
  EXPECT_LT(relative_error(prediction, golden["out.prediction"]), 4e-2);
}

INSTANTIATE_TEST_SUITE_P(, FluxTest, testing::ValuesIn(kCases), [](const auto& info) { return info.param.file; });

class FluxMask : public testing::Test {
 protected:
  GoldenModel golden{"flux_dev"};
  GoldenReader reader{golden};
  Flux model{small(16, true), reader};
};

TEST_F(FluxMask, HidesTextFromEveryToken) {
  const at::NoGradGuard no_grad;
  FluxInput input = input_of(golden, false);
  input.text_mask = golden["in.text_mask"];
  EXPECT_LT(relative_error(model.forward(input), golden["out.masked"]), 2e-6);
}

TEST_F(FluxMask, OfEqualLengthsIsShorterText) {
  const at::NoGradGuard no_grad;
  FluxInput input = input_of(golden, false), shorter = input;
  input.text_mask = golden["in.text_mask"].clone();
  input.text_mask.fill_(0).slice(1, 0, 3).fill_(1);
  shorter.text = input.text.slice(1, 0, 3);
  EXPECT_TRUE(at::equal(model.forward(input), model.forward(shorter)));
}

TEST(Flux, RefusesToGuessItsGuidance) {
  const GoldenModel golden("flux_dev");
  GoldenReader reader(golden);
  const Flux model(small(16, true), reader);
  FluxInput input = input_of(golden, false);
  input.guidance = at::Tensor();
  EXPECT_THROW(model.forward(input), InternalError);
}

TEST(FluxConfig, SharesAHeadBetweenTheAxes) {
  EXPECT_EQ(FluxConfig().rope_sizes(), (std::vector<int64_t>{16, 56, 56}));
}

}  // namespace
}  // namespace difftune
