#include "diffusion/ddpm_objective.h"
#include "base/python_random.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>

#include "base/error.h"
#include "expected.h"

namespace difftune {
namespace {

class DdpmObjectiveTest : public testing::Test {
 protected:
  at::Tensor expected(const std::string& name) const { return to_tensor(expected_.at(name)); }
  // The fixed batch of make_diffusion.py.
  NoisedBatch batch(PredictionType prediction) const {
    const at::Tensor x = expected("latents"), noise = expected("noise"), t = expected("timesteps");
    return {DdpmSchedule().add_noise(x, noise, t), t, noise,
            prediction == PredictionType::epsilon ? noise : DdpmSchedule().velocity(x, noise, t)};
  }
  at::Tensor loss(const LossConfig& config, const LossWeights& weights = {},
                  PredictionType prediction = PredictionType::epsilon) const {
    DdpmObjectiveConfig objective;
    objective.loss = config;
    objective.prediction = prediction;
    return DdpmObjective(objective).per_sample_loss(expected("prediction"), batch(prediction), weights);
  }

  const nlohmann::json expected_ = read_expected("diffusion/objective.json");
};

TEST_F(DdpmObjectiveTest, losses_and_their_huber_schedules) {
  for (const char* type : {"l2", "l1", "huber", "smooth_l1"}) {
    for (const char* schedule : {"snr", "exponential", "constant"}) {
      const LossConfig config{.type = parse_loss_type(type),
                              .huber_schedule = parse_huber_schedule(schedule),
                              .huber_c = 0.2,
                              .huber_scale = 0.7};
      const std::string name = std::string("loss_") + type + "_" + schedule;
      EXPECT_TRUE(as_in_python(loss(config), expected(name))) << name;
    }
  }
}

TEST_F(DdpmObjectiveTest, mask_comes_before_the_mean_and_sample_weights_after) {
  EXPECT_TRUE(as_in_python(loss({}, {expected("weights"), expected("mask")}), expected("loss_masked")));
}

TEST_F(DdpmObjectiveTest, weights_by_snr) {
  for (const auto prediction : {PredictionType::epsilon, PredictionType::velocity}) {
    const bool v = prediction == PredictionType::velocity;
    const std::string prefix = v ? "weighted_v_" : "weighted_epsilon_";
    EXPECT_TRUE(as_in_python(loss({.min_snr_gamma = 5}, {}, prediction), expected(prefix + "min_snr")));
    EXPECT_TRUE(as_in_python(loss({.debiased_estimation_loss = true}, {}, prediction), expected(prefix + "debiased")));
    const LossConfig all{.min_snr_gamma = 5,
                         .scale_v_pred_loss_like_noise_pred = v,
                         .v_pred_like_loss = v ? 0.0 : 0.3,
                         .debiased_estimation_loss = true};
    EXPECT_TRUE(as_in_python(loss(all, {}, prediction), expected(prefix + "all")));
  }
}

TEST_F(DdpmObjectiveTest, min_snr_is_finite_where_no_signal_is_left) {
  DdpmScheduleConfig zero;
  zero.zero_terminal_snr = true;
  const DdpmSchedule schedule(zero);
  const at::Tensor t = at::tensor(std::vector<int64_t>{999}), one = at::ones({1});
  const LossConfig config{.min_snr_gamma = 5};
  EXPECT_EQ(weigh_by_snr(one, config, PredictionType::epsilon, schedule, t).item<float>(), 1);
  EXPECT_EQ(weigh_by_snr(one, config, PredictionType::velocity, schedule, t).item<float>(), 0);
}

TEST_F(DdpmObjectiveTest, target_is_noise_or_velocity_of_the_drawn_noise) {
  for (const auto prediction : {PredictionType::epsilon, PredictionType::velocity}) {
    DdpmObjectiveConfig config;
    config.prediction = prediction;
    const DdpmObjective objective(config);
    const at::Generator generator = at::detail::createCPUGenerator(11);
    PythonRandom python(11);
    const at::Tensor x = expected("latents");
    const NoisedBatch drawn = objective.draw(x, {generator, generator, [&] { return python.random(); }});
    EXPECT_TRUE(as_in_python(drawn.noise, to_tensor(expected_.at("draws").at("plain").at("noise"))));
    const at::Tensor target = prediction == PredictionType::epsilon
                                  ? drawn.noise
                                  : objective.schedule().velocity(x, drawn.noise, drawn.timesteps);
    EXPECT_TRUE(same_bits(drawn.target, target));
  }
}

TEST_F(DdpmObjectiveTest, loss_reaches_the_model_output) {
  const at::Tensor output = expected("prediction").to(at::kBFloat16).set_requires_grad(true);
  DdpmObjective({}).per_sample_loss(output, batch(PredictionType::epsilon)).mean().backward();
  EXPECT_TRUE(output.grad().defined());
}

TEST_F(DdpmObjectiveTest, conditioning_image_becomes_a_mask) {
  const at::Tensor mask = mask_from_conditioning(at::zeros({2, 3, 8, 8}));
  EXPECT_EQ(mask.sizes(), at::IntArrayRef({2, 8, 8}));
  EXPECT_EQ(mask[0][0][0].item<float>(), 0.5F);
}

TEST_F(DdpmObjectiveTest, validation_timesteps_lie_inside_the_range) {
  EXPECT_EQ(DdpmObjective({}).validation_timesteps(), (std::vector<int64_t>{200, 400, 600, 800}));
  DdpmObjectiveConfig config;
  config.noise.min_timestep = 100;
  config.noise.max_timestep = 207;
  EXPECT_EQ(DdpmObjective(config).validation_timesteps(), (std::vector<int64_t>{121, 142, 164, 185}));
}

TEST_F(DdpmObjectiveTest, contradicting_settings_are_refused) {
  const auto refuses = [](const DdpmObjectiveConfig& config, const char* text) {
    try {
      DdpmObjective{config};
      FAIL() << text;
    } catch (const UserError& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr(text));
    }
  };
  DdpmObjectiveConfig config;
  config.loss.scale_v_pred_loss_like_noise_pred = true;
  refuses(config, "needs --v_parameterization");
  config = {.prediction = PredictionType::velocity};
  config.loss.v_pred_like_loss = 0.1;
  refuses(config, "--v_pred_like_loss");
  config = {};
  config.loss.type = LossType::huber;
  config.loss.huber_c = 0;
  refuses(config, "--huber_c is 0");
  config = {};
  config.loss.debiased_estimation_loss = true;
  config.schedule.zero_terminal_snr = true;
  refuses(config, "divides by zero");
  config.schedule.reference_quirks = true;
  EXPECT_NO_THROW(DdpmObjective{config});
  EXPECT_THROW(parse_loss_type("l3"), UserError);
  EXPECT_THROW(parse_huber_schedule("linear"), UserError);
}

}  // namespace
}  // namespace difftune
