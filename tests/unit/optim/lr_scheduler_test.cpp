#include "optim/lr_scheduler.h"

#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>

#include "../diffusion/expected.h"
#include "base/error.h"
#include "optim/optimizer_table.h"

namespace difftune {
namespace {

TEST(LrScheduleTest, factors_are_those_of_transformers) {
  const nlohmann::json expected = read_expected("optim/lr_schedules.json");
  for (const nlohmann::json& row : expected.at("rows")) {
    LrScheduleConfig config;
    config.name = row.at("name");
    config.num_steps = expected.at("num_steps");
    config.warmup = row.value("warmup", expected.at("warmup").get<int64_t>());
    config.decay = row.value("decay", int64_t{0});
    config.learning_rate = expected.at("learning_rate");
    config.num_cycles = row.value("num_cycles", int64_t{1});
    config.power = row.value("power", 1.0);
    if (row.contains("timescale")) config.timescale = row.at("timescale");
    if (row.contains("min_lr_ratio")) config.min_lr_ratio = row.at("min_lr_ratio");
    config.args = row.value("args", std::vector<std::string>());
    const LrSchedule schedule = make_lr_schedule(config);
    const auto factors = row.at("factors").get<std::vector<double>>();
    for (size_t step = 0; step < factors.size(); ++step) {
      EXPECT_DOUBLE_EQ(schedule(static_cast<int64_t>(step)), factors[step]) << config.name << " step " << step;
    }
  }
}

TEST(LrScheduleTest, warmup_in_steps_or_as_a_part_of_the_run) {
  const auto resolve = [](const char* text) {
    return resolve_steps(parse_steps_or_ratio(text, "--lr_warmup_steps"), 250);
  };
  EXPECT_EQ(resolve("0"), 0);
  EXPECT_EQ(resolve("100"), 100);
  EXPECT_EQ(resolve("0.1"), 25);
  EXPECT_EQ(resolve("10%"), 25);
  EXPECT_EQ(resolve("0.999"), 249);
  for (const char* text : {"", "abc", "-1", "1.5", "10.0", "%", "nan", "200%", "10 "}) {
    EXPECT_THROW(resolve(text), UserError) << text;
  }
}

TEST(LrScheduleTest, settings_that_do_not_go_together_are_refused) {
  const auto refuses = [](const LrScheduleConfig& config, const char* text) {
    try {
      make_lr_schedule(config);
      FAIL() << text;
    } catch (const UserError& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr(text));
    }
  };
  refuses({.name = "cosin"}, "'cosin' is not available (did you mean 'cosine'?), expected one of linear, cosine");
  refuses({.name = "constant", .num_steps = 10, .warmup = 0.5}, "use constant_with_warmup");
  refuses({.name = "linear", .args = {"num_cycles=2"}}, "takes no arguments, got 'num_cycles'");
  refuses({.name = "cosine", .args = {"cycles=2"}}, "has no argument 'cycles'");
  refuses({.name = "polynomial", .learning_rate = 1e-8}, "must be above it");
  refuses({.name = "cosine_with_min_lr"}, "needs --lr_scheduler_min_lr_ratio");
  refuses({.name = "warmup_stable_decay", .num_steps = 10, .warmup = int64_t{6}, .decay = int64_t{5}}, "exceed the 10");
  refuses({.name = "warmup_stable_decay", .args = {"decay_type='square'"}}, "decay_type is 'square'");
  refuses({.name = "piecewise_constant", .args = {"step_rules='1:x,2'"}}, "step_rules is '1:x,2'");
  refuses({.name = "piecewise_constant"}, "step_rules is ''");
}

TEST(LrSchedulerTest, writes_every_group_and_continues_where_it_stopped) {
  const auto optimizer = make_optimizer({}, {{"te", {at::zeros(1)}, 1e-3}, {"unet", {at::zeros(1)}, 1e-4}});
  LrScheduler scheduler(make_lr_schedule({.name = "linear", .num_steps = 10, .warmup = int64_t{2}}), *optimizer);
  EXPECT_EQ(optimizer->groups()[0].lr, 0);
  scheduler.step();
  EXPECT_EQ(optimizer->groups()[0].lr, 1e-3 * 0.5);
  EXPECT_EQ(optimizer->groups()[1].lr, 1e-4 * 0.5);
  scheduler.step(5);
  EXPECT_EQ(optimizer->groups()[0].lr, 1e-3 * 0.5);
  scheduler.restore(2);
  EXPECT_EQ(optimizer->groups()[1].lr, 1e-4);
}

}  // namespace
}  // namespace difftune
