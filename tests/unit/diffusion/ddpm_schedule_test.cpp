#include "diffusion/ddpm_schedule.h"

#include <ATen/ops/index_select.h>

#include "expected.h"

namespace difftune {
namespace {

class DdpmScheduleTest : public testing::Test {
 protected:
  static DdpmSchedule schedule(bool zero_terminal, bool quirks = false) {
    DdpmScheduleConfig config;
    config.zero_terminal_snr = zero_terminal;
    config.reference_quirks = quirks;
    return DdpmSchedule(config);
  }
  at::Tensor rows(const at::Tensor& table) const {
    return at::index_select(table, 0, at::tensor(expected_["rows"].get<std::vector<int64_t>>()));
  }
  at::Tensor expected(const std::string& name) const { return to_tensor(expected_.at(name)); }

  const nlohmann::json expected_ = read_expected("diffusion/objective.json");
};

TEST_F(DdpmScheduleTest, tables_are_those_of_diffusers) {
  EXPECT_TRUE(as_in_python(rows(schedule(false).alphas_cumprod()), expected("alphas_plain")));
  EXPECT_TRUE(as_in_python(rows(schedule(false).snr()), expected("snr_plain")));
  EXPECT_TRUE(as_in_python(rows(schedule(true).alphas_cumprod()), expected("alphas_zero_terminal")));
}

TEST_F(DdpmScheduleTest, snr_follows_the_shift_unless_a_quirk_is_asked_for) {
  EXPECT_TRUE(as_in_python(rows(schedule(true).snr()), expected("snr_zero_terminal")));
  EXPECT_TRUE(as_in_python(rows(schedule(true, true).snr()), expected("snr_plain")));
}

TEST_F(DdpmScheduleTest, forward_process_rounds_as_diffusers_does) {
  for (const auto& [type, type_name] : {std::pair{at::kFloat, "float32"}, std::pair{at::kBFloat16, "bfloat16"}}) {
    const at::Tensor x = expected("latents").to(type), noise = expected("noise").to(type), t = expected("timesteps");
    for (const auto& [name, zero] : {std::pair{"plain", false}, std::pair{"zero_terminal", true}}) {
      const std::string key = std::string(name) + "_" + type_name;
      EXPECT_TRUE(as_in_python(schedule(zero).add_noise(x, noise, t), expected("noisy_" + key))) << key;
      EXPECT_TRUE(as_in_python(schedule(zero).velocity(x, noise, t), expected("velocity_" + key))) << key;
    }
  }
}

}  // namespace
}  // namespace difftune
