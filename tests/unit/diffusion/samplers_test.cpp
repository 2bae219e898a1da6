#include "diffusion/samplers.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/sin.h>
#include <gmock/gmock.h>

#include "base/error.h"
#include "expected.h"

namespace difftune {
namespace {

// The stand-in for a model of make_diffusion.py.
at::Tensor model(const at::Tensor& x, double t) { return x * 0.3 + at::sin(x * 3) * 0.5 + t / 2000; }

at::Tensor run(Sampler& sampler, const at::Tensor& start) {
  at::Generator generator = at::detail::createCPUGenerator(2);
  at::Tensor x = start * sampler.init_noise_sigma();
  for (size_t i = 0; i < sampler.timesteps().size(); ++i) {
    x = sampler.step(model(sampler.scale_model_input(x, i), sampler.timesteps()[i]), i, x, generator);
  }
  return x;
}

SamplerConfig config_of(const nlohmann::json& row) {
  SamplerConfig config;
  config.name = row.at("name");
  if (const size_t clipped = config.name.find("_clipped"); clipped != std::string::npos) {
    config.name.resize(clipped);
    config.reference_quirks = true;
  }
  config.num_steps = row.at("steps");
  if (row.at("prediction") == "v_prediction") config.prediction = PredictionType::velocity;
  return config;
}

TEST(SamplersTest, runs_end_where_those_of_diffusers_end) {
  const nlohmann::json expected = read_expected("diffusion/samplers.json");
  const at::Tensor start = to_tensor(expected.at("start"));
  size_t num_runs = 0;
  for (const nlohmann::json& row : expected.at("runs")) {
    SCOPED_TRACE(row.at("name").get<std::string>() + " " + row.at("prediction").get<std::string>() + " " +
                 std::to_string(row.at("steps").get<int>()));
    const auto sampler = make_sampler(config_of(row), DdpmSchedule());
    EXPECT_NEAR(sampler->init_noise_sigma(), row.at("init_noise_sigma").get<double>(), 1e-6);
    EXPECT_THAT(sampler->timesteps(),
                testing::Pointwise(testing::DoubleNear(1e-4), row.at("timesteps").get<std::vector<double>>()));
    EXPECT_LT(relative_error(run(*sampler, start), to_tensor(row.at("end"))), 1e-5);
    ++num_runs;
  }
  EXPECT_EQ(num_runs, 76);
}

TEST(SamplersTest, a_second_picture_does_not_depend_on_the_first) {
  const at::Tensor start = to_tensor(read_expected("diffusion/samplers.json").at("start"));
  for (const std::string& name : sampler_names()) {
    const auto sampler = make_sampler({.name = name, .num_steps = 7}, DdpmSchedule());
    const at::Tensor first = run(*sampler, start);
    EXPECT_TRUE(same_bits(run(*sampler, start), first)) << name;
  }
}

TEST(SamplersTest, zero_terminal_snr_and_half_precision_stay_finite) {
  DdpmScheduleConfig zero;
  zero.zero_terminal_snr = true;
  const at::Tensor start = to_tensor(read_expected("diffusion/samplers.json").at("start")).to(at::kBFloat16);
  for (const std::string& name : sampler_names()) {
    const SamplerConfig config{.name = name, .num_steps = 12, .prediction = PredictionType::velocity};
    const at::Tensor end = run(*make_sampler(config, DdpmSchedule(zero)), start);
    EXPECT_EQ(end.scalar_type(), at::kBFloat16);
    EXPECT_TRUE(at::isfinite(end).all().item<bool>()) << name;
  }
}

TEST(SamplersTest, other_names_and_step_counts_are_refused) {
  const auto refuses = [](const SamplerConfig& config, const char* text) {
    try {
      make_sampler(config, DdpmSchedule());
      FAIL() << text;
    } catch (const UserError& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr(text));
    }
  };
  refuses({.name = "ddpm"}, "unknown sampler 'ddpm', expected one of ddim, pndm");
  refuses({.num_steps = 0}, "expected 1 to 1000");
  refuses({.num_steps = 1001}, "expected 1 to 1000");
  refuses({.name = "pndm", .num_steps = 3}, "needs 4 steps");
}

}  // namespace
}  // namespace difftune
