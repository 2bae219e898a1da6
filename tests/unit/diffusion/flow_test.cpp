// Flow matching against sd-scripts and diffusers (tests/data/diffusion/make_flow.py).
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/sin.h>
#include <gmock/gmock.h>

#include "base/error.h"
#include "diffusion/flow_objective.h"
#include "diffusion/flow_sampler.h"
#include "expected.h"

namespace difftune {
namespace {

using nlohmann::json;

const json& expected() {
  static const json file = read_expected("diffusion/flow.json");
  return file;
}

at::Tensor latents(int64_t height = 4, int64_t width = 6) {
  const at::Generator generator = at::detail::createCPUGenerator(7);
  return at::randn({3, 2, height, width}, generator, at::TensorOptions(at::kFloat)) * 0.9;
}

RandomSources sources(uint64_t seed = 11) {
  const at::Generator generator = at::detail::createCPUGenerator(seed);
  return {generator, generator, {}};
}

// The objective that the options of a case in flow.json mean.
FlowObjectiveConfig config_of(const std::string& name, const json& options) {
  FlowObjectiveConfig config;
  config.reference_quirks = config.timesteps.reference_quirks = true;
  if (options.contains("dtype")) config.dtype = at::kBFloat16;
  auto& t = config.timesteps;
  const std::string sampling = options.value("timestep_sampling", "sigma");
  t.sampling = name.starts_with("sd3") ? TimestepSampling::sd3 : parse_timestep_sampling(sampling);
  t.sigmoid_scale = options.value("sigmoid_scale", 1.0);
  t.discrete_flow_shift = options.value("discrete_flow_shift", 3.0);
  t.training_shift = options.value("training_shift", 1.0);
  t.weighting = parse_weighting_scheme(options.value("weighting_scheme", "uniform"));
  t.logit_mean = options.value("logit_mean", 0.0);
  t.logit_std = options.value("logit_std", 1.0);
  t.mode_scale = options.value("mode_scale", 1.29);
  t.min_timestep = options.value("min_timestep", 0);
  t.max_timestep = options.value("max_timestep", 1000);
  if (name.starts_with("lumina")) t.smallest_sigma = 1e-7;
  config.ip_noise_gamma = options.value("ip_noise_gamma", 0.0);
  config.ip_noise_gamma_random_strength = options.value("ip_noise_gamma_random_strength", false);
  return config;
}

TEST(FlowObjective, draws_what_the_reference_draws) {
  for (const auto& [name, wanted] : expected().at("draws").items()) {
    SCOPED_TRACE(name);
    const FlowObjective objective(config_of(name, wanted.at("options")));
    const NoisedBatch batch = objective.draw(latents(wanted.at("height"), wanted.at("width")), sources());
    EXPECT_TRUE(as_in_python(batch.timesteps, to_tensor(wanted.at("timesteps"))));
    EXPECT_TRUE(as_in_python(batch.sigmas, to_tensor(wanted.at("sigmas"))));
    EXPECT_TRUE(as_in_python(batch.noisy_latents, to_tensor(wanted.at("noisy"))));
  }
}

class FlowLossTest : public testing::Test {
 protected:
  at::Tensor expect(const std::string& name) const { return to_tensor(expected().at("losses").at(name)); }
  at::Tensor loss(FlowObjectiveConfig config, const LossWeights& weights = {}) const {
    const at::Tensor x = expect("latents"), noise = expect("noise"), sigmas = expect("sigmas");
    const at::Tensor share = per_sample(sigmas, 4);
    NoisedBatch batch{(1 - share) * x + share * noise, sigmas * 1000, noise, noise - x, sigmas};
    const bool against_data = config.scales_against_data || !config.reference_quirks;
    if (config.prediction == FlowPrediction::sigma_scaled && against_data) batch.target = x;
    if (config.direction == FlowDirection::to_data && config.prediction == FlowPrediction::raw)
      batch.target = x - noise;
    const at::Tensor output = expect("output") * (config.direction == FlowDirection::to_data ? -1 : 1);
    return FlowObjective(config).per_sample_loss(output, batch, weights);
  }
};

TEST_F(FlowLossTest, prediction_types_and_weights) {
  FlowObjectiveConfig config;
  config.reference_quirks = true;
  for (const char* kind : {"raw", "additive", "sigma_scaled"}) {
    config.prediction = parse_flow_prediction(kind);
    EXPECT_TRUE(as_in_python(loss(config), expect(std::string("flux_") + kind))) << kind;
  }
  for (const char* scheme : {"sigma_sqrt", "cosmap"}) {
    config.timesteps.weighting = parse_weighting_scheme(scheme);
    config.scales_against_data = false;
    EXPECT_TRUE(as_in_python(loss(config), expect(std::string("flux_sigma_scaled_") + scheme))) << scheme;
    config.scales_against_data = true;
    EXPECT_TRUE(as_in_python(loss(config), expect(std::string("sd3_") + scheme))) << scheme;
  }
}

// What sigma_scaled means: the error of the data that the velocity implies is sigma times the velocity's.
TEST_F(FlowLossTest, sigma_scaled_with_sigma_sqrt_is_the_velocity_loss) {
  FlowObjectiveConfig raw, scaled;
  scaled.prediction = FlowPrediction::sigma_scaled;
  scaled.timesteps.weighting = WeightingScheme::sigma_sqrt;
  for (const auto direction : {FlowDirection::to_noise, FlowDirection::to_data}) {
    raw.direction = scaled.direction = direction;
    EXPECT_LT(relative_error(loss(scaled), loss(raw)), 1e-4);
  }
}

TEST_F(FlowLossTest, huber_schedules) {
  FlowObjectiveConfig config;
  config.loss = {.type = LossType::huber, .huber_c = 0.2, .huber_scale = 0.7};
  for (const char* schedule : {"exponential", "constant"}) {
    config.loss.huber_schedule = parse_huber_schedule(schedule);
    EXPECT_LT(relative_error(loss(config), expect(std::string("huber_") + schedule)), 1e-6) << schedule;
  }
  config.loss.huber_schedule = HuberSchedule::snr;
  EXPECT_TRUE(loss(config).isfinite().all().item<bool>());
  config.reference_quirks = true;
  EXPECT_THROW(FlowObjective{config}, UserError);
}

// DDPM's schedule at noise to signal ratio sqrt((1 - a) / a) is the flow's at sigma / (1 - sigma).
TEST(FlowHuber, snr_is_that_of_ddpm_at_the_same_ratio) {
  const LossConfig config{.type = LossType::huber, .huber_c = 0.3};
  const at::Tensor sigmas = at::tensor({0.1F, 0.5F, 0.9F});
  const at::Tensor ratio = sigmas / (1 - sigmas);
  const at::Tensor alphas = 1 / (1 + ratio * ratio);
  const at::Tensor ddpm = huber_thresholds(config, at::tensor({0, 1, 2}).to(at::kLong), alphas);
  EXPECT_LT(relative_error(flow_huber_thresholds(config, sigmas), ddpm), 1e-6);
}

TEST(FlowObjective, limits_map_the_drawn_timesteps) {
  FlowTimestepConfig config;
  config.sampling = TimestepSampling::uniform;
  const auto free = draw_flow_timesteps(config, latents(), sources());
  config.min_timestep = 200;
  config.max_timestep = 700;
  const auto limited = draw_flow_timesteps(config, latents(), sources());
  EXPECT_LT(relative_error(limited.timesteps, free.timesteps * 0.5 + 200), 1e-6);
  config.reference_quirks = true;
  EXPECT_TRUE(same_bits(draw_flow_timesteps(config, latents(), sources()).timesteps, free.timesteps));
}

TEST(FlowObjective, a_given_timestep_is_taken) {
  FlowObjectiveConfig config;
  const NoisedBatch batch = FlowObjective(config).draw(latents(), sources(), 400);
  EXPECT_TRUE(same_bits(batch.timesteps, at::tensor({400.F, 400.F, 400.F})));
  EXPECT_LT(relative_error(batch.noisy_latents, latents() * 0.6 + batch.noise * 0.4), 1e-6);
}

TEST(FlowObjective, pure_data_weighs_nothing_instead_of_infinity) {
  const at::Tensor weights = flow_loss_weights(WeightingScheme::sigma_sqrt, at::tensor({0.F, 0.5F}));
  EXPECT_TRUE(same_bits(weights, at::tensor({0.F, 4.F})));
}

TEST(FlowObjective, spreads_validation_over_the_trained_range) {
  FlowObjectiveConfig config;
  EXPECT_THAT(FlowObjective(config).validation_timesteps(), testing::ElementsAre(200, 400, 600, 800));
  config.timesteps.min_timestep = 500;
  EXPECT_THAT(FlowObjective(config).validation_timesteps(), testing::ElementsAre(600, 700, 800, 900));
}

TEST(FlowObjective, refuses_what_it_cannot_do) {
  FlowObjectiveConfig config;
  config.timesteps.min_timestep = 700;
  config.timesteps.max_timestep = 300;
  EXPECT_THROW(FlowObjective{config}, UserError);
  EXPECT_THROW(parse_timestep_sampling("sigmod"), UserError);
  EXPECT_THROW(parse_weighting_scheme("modes"), UserError);
  EXPECT_THROW(parse_flow_prediction("v"), UserError);
}

void expect_close(const std::vector<double>& actual, const std::string& name) {
  const auto wanted = expected().at("schedules").at(name).get<std::vector<double>>();
  ASSERT_EQ(actual.size(), wanted.size()) << name;
  for (size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR(actual[i], wanted[i], 1e-6) << name << " " << i;
}

TEST(FlowSampler, sigmas) {
  expect_close(flux_sigmas(4, 256), "flux_4_256");
  expect_close(flux_sigmas(7, 1024), "flux_7_1024");
  expect_close(flux_sigmas(20, 4080), "flux_20_4080");
  expect_close(flux_sigmas(4, 1024, false), "schnell_4");
  for (const int64_t steps : {4, 28}) {
    expect_close(sd3_sigmas(steps, 3.0), "sd3_double_" + std::to_string(steps));
    expect_close(sd3_sigmas(steps, 6.0), "lumina_double_" + std::to_string(steps));
  }
  for (const int64_t steps : {4, 30}) expect_close(lumina_sigmas(steps, 6.0), "lumina_" + std::to_string(steps));
  EXPECT_THROW(flux_sigmas(0, 256), UserError);
}

TEST(FlowSampler, euler_steps) {
  const auto sampler = make_flow_euler_sampler(sd3_sigmas(3, 3.0));
  at::Tensor x = to_tensor(expected().at("euler").at("start"));
  at::Generator generator = at::detail::createCPUGenerator(0);
  for (size_t i = 0; i < sampler->timesteps().size(); ++i) {
    x = sampler->step(at::sin(x + sampler->timesteps()[i] / 1000), i, x, generator);
  }
  EXPECT_LT(relative_error(x, to_tensor(expected().at("euler").at("end"))), 1e-6);
}

}  // namespace
}  // namespace difftune
