#include "diffusion/noise.h"
#include "base/python_random.h"

#include <ATen/CPUGeneratorImpl.h>
#include <gmock/gmock.h>

#include "base/error.h"
#include "expected.h"

namespace difftune {
namespace {

class NoiseTest : public testing::Test {
 protected:
  NoisyLatents draw(uint64_t seed, const NoiseConfig& config, const std::string& latents = "latents",
                    std::optional<int64_t> timestep = std::nullopt) {
    const at::Generator generator = at::detail::createCPUGenerator(seed);
    PythonRandom python(seed);
    return draw_noisy_latents(config, DdpmSchedule(), to_tensor(expected_.at(latents)),
                              {generator, generator, [&] { return python.random(); }}, timestep);
  }
  void expect_draw(const std::string& name, const NoisyLatents& drawn) const {
    const nlohmann::json& row = expected_.at("draws").at(name);
    EXPECT_TRUE(as_in_python(drawn.noise, to_tensor(row.at("noise")))) << name;
    EXPECT_TRUE(as_in_python(drawn.timesteps, to_tensor(row.at("timesteps")))) << name;
    EXPECT_TRUE(as_in_python(drawn.noisy_latents, to_tensor(row.at("noisy_latents")))) << name;
  }

  const nlohmann::json expected_ = read_expected("diffusion/objective.json");
};

TEST_F(NoiseTest, plain_draws_have_the_latents_dtype) {
  expect_draw("plain", draw(11, {}));
  expect_draw("bfloat16", draw(11, {}, "latents_bfloat16"));
}

TEST_F(NoiseTest, offset) {
  NoiseConfig config{.noise_offset = 0.1};
  expect_draw("offset", draw(12, config));
  expect_draw("offset_bfloat16", draw(12, config, "latents_bfloat16"));
  config.noise_offset_random_strength = true;
  config.adaptive_noise_scale = 0.05;
  expect_draw("offset_random_adaptive", draw(13, config));
  expect_draw("offset_adaptive_negative", draw(13, {.noise_offset = 0.01, .adaptive_noise_scale = -0.5}));
}

TEST_F(NoiseTest, lower_resolutions) {
  const NoiseConfig config{.multires_noise_iterations = 6, .multires_noise_discount = 0.4};
  expect_draw("multires", draw(14, config));
  expect_draw("multires_bfloat16", draw(14, config, "latents_bfloat16"));
}

TEST_F(NoiseTest, perturbation_leaves_the_target_alone) { expect_draw("perturbed", draw(15, {.ip_noise_gamma = 0.1})); }

TEST_F(NoiseTest, everything_at_once_keeps_the_order_of_draws) {
  const NoiseConfig config{.noise_offset = 0.1,
                           .noise_offset_random_strength = true,
                           .adaptive_noise_scale = 0.02,
                           .multires_noise_iterations = 4,
                           .multires_noise_discount = 0.3,
                           .ip_noise_gamma = 0.05,
                           .ip_noise_gamma_random_strength = true,
                           .min_timestep = 200,
                           .max_timestep = 300};
  expect_draw("everything", draw(16, config));
}

TEST_F(NoiseTest, fixed_timesteps_draw_nothing) {
  expect_draw("constant_timestep", draw(17, {.min_timestep = 900, .max_timestep = 900}));
  expect_draw("constant_timestep", draw(17, {}, "latents", 900));
}

TEST_F(NoiseTest, settings_out_of_range_are_refused) {
  const auto refuses = [](const NoiseConfig& config, const char* text) {
    try {
      validate(config, 1000);
      FAIL() << text;
    } catch (const UserError& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr(text));
    }
  };
  refuses({.adaptive_noise_scale = 0.1}, "--noise_offset");
  refuses({.max_timestep = 1001}, "--max_timestep 1001");
  refuses({.min_timestep = 1000, .max_timestep = 1000}, "range of 0 to 1000");
  refuses({.min_timestep = -1}, "--min_timestep -1");
  EXPECT_NO_THROW(validate({.min_timestep = 999, .max_timestep = 999}, 1000));
}

}  // namespace
}  // namespace difftune
