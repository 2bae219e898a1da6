#include <ATen/ops/ones_like.h>
#include <gmock/gmock.h>

#include "../diffusion/expected.h"
#include "base/error.h"
#include "optim/lr_scheduler.h"
#include "optim/optimizer_table.h"

namespace difftune {
namespace {

// The parameters, gradients and learning rates of make_optim.py.
class OptimizersTest : public testing::Test {
 protected:
  struct Run {
    std::vector<at::Tensor> params;
    std::unique_ptr<Optimizer> optimizer;
    std::unique_ptr<LrScheduler> schedule;
  };

  std::vector<at::Tensor> start(at::ScalarType type) const {
    std::vector<at::Tensor> params;
    for (const nlohmann::json& param : expected_.at("start")) {
      params.push_back(to_tensor(param).to(type).set_requires_grad(true));
    }
    return params;
  }
  static Run begin(const nlohmann::json& row, std::vector<at::Tensor> params) {
    Run run{params, nullptr, nullptr};
    const OptimizerConfig config{row.at("type"), row.at("args").get<std::vector<std::string>>(), 1e-2};
    run.optimizer = make_optimizer(
        config, {{"te", {params[0], params[1]}, row.value("lr", 1e-2)}, {"unet", {params[2]}, row.value("lr", 5e-3)}});
    run.schedule = std::make_unique<LrScheduler>([](int64_t step) { return 1.0 - static_cast<double>(step) / 20; },
                                                 *run.optimizer);
    return run;
  }
  void steps(Run& run, size_t from, size_t to) const {
    for (size_t step = from; step < to; ++step) {
      for (size_t i = 0; i < run.params.size(); ++i) {
        const nlohmann::json& grad = expected_.at("gradients")[step][i];
        if (!grad.is_null()) run.params[i].mutable_grad() = to_tensor(grad).to(run.params[i].scalar_type());
      }
      run.optimizer->step();
      run.optimizer->zero_grad();
      run.schedule->step();
    }
  }
  static at::ScalarType type_of(const nlohmann::json& row) {
    return row.contains("dtype") ? at::kBFloat16 : at::kFloat;
  }

  const nlohmann::json expected_ = read_expected("optim/optimizers.json");
};

TEST_F(OptimizersTest, ten_steps_give_the_bits_of_python) {
  for (const nlohmann::json& row : expected_.at("runs")) {
    SCOPED_TRACE(row.at("type").get<std::string>() + " " + row.at("args").dump());
    Run run = begin(row, start(type_of(row)));
    for (size_t step = 0; step < 10; ++step) {
      steps(run, step, step + 1);
      if (!row.at("lrs").empty()) {
        const double own = run.optimizer->estimated_step_size().value_or(run.optimizer->effective_lr(0));
        EXPECT_FLOAT_EQ(own, row.at("lrs")[step].get<float>());
      }
    }
    for (size_t i = 0; i < run.params.size(); ++i) {
      EXPECT_TRUE(as_in_python(run.params[i].detach(), to_tensor(row.at("params")[i]))) << "parameter " << i;
    }
  }
}

TEST_F(OptimizersTest, a_saved_state_continues_with_the_same_bits) {
  for (const nlohmann::json& row : expected_.at("runs")) {
    SCOPED_TRACE(row.at("type").get<std::string>() + " " + row.at("args").dump());
    Run first = begin(row, start(type_of(row)));
    steps(first, 0, 5);
    OptimizerState saved;
    for (const auto& [name, tensor] : first.optimizer->state()) saved[name] = tensor.clone();
    std::vector<at::Tensor> params;
    for (const at::Tensor& param : first.params) params.push_back(param.detach().clone().set_requires_grad(true));
    Run second = begin(row, params);
    second.optimizer->load_state(saved, "optimizer.safetensors");
    second.schedule->restore(first.schedule->current_step());
    steps(first, 5, 10);
    steps(second, 5, 10);
    for (size_t i = 0; i < params.size(); ++i) {
      EXPECT_TRUE(same_bits(second.params[i].detach(), first.params[i].detach())) << "parameter " << i;
    }
    EXPECT_EQ(second.optimizer->state().size(), first.optimizer->state().size());
  }
}

TEST_F(OptimizersTest, state_of_another_run_is_refused) {
  const auto refuses = [](Optimizer& optimizer, const OptimizerState& state, const char* text) {
    try {
      optimizer.load_state(state, "optimizer.safetensors");
      FAIL() << text;
    } catch (const UserError& error) {
      EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr("optimizer.safetensors"), testing::HasSubstr(text)));
    }
  };
  const nlohmann::json adamw = {{"type", "AdamW"}, {"args", nlohmann::json::array()}};
  const nlohmann::json lion = {{"type", "Lion"}, {"args", nlohmann::json::array()}};
  Run run = begin(adamw, start(at::kFloat)), other = begin(lion, start(at::kFloat));
  steps(run, 0, 3);
  steps(other, 0, 3);
  refuses(*other.optimizer, run.optimizer->state(), "exp_avg_sq");
  refuses(*run.optimizer, other.optimizer->state(), "is missing");
  OptimizerState state = run.optimizer->state();
  state["0.0.exp_avg"] = state["0.0.exp_avg"].flatten();
  refuses(*run.optimizer, state, "'0.0.exp_avg' has shape [24], this run needs [4, 6]");
  state = run.optimizer->state();
  state["0.0.step"] = state["0.0.exp_avg"];
  refuses(*run.optimizer, state, "is not one number");
  state = run.optimizer->state();
  const nlohmann::json prodigy = {{"type", "Prodigy"}, {"args", nlohmann::json::array()}, {"lr", 1.0}};
  refuses(*begin(prodigy, start(at::kFloat)).optimizer, {}, "'prodigy.d' is missing");
  state["7.0.step"] = number_tensor(int64_t{3});
  refuses(*run.optimizer, state, "'7.0.step' has no place");
}

TEST_F(OptimizersTest, description_is_that_of_the_metadata) {
  const auto description = [&](const char* type, std::vector<std::string> args) {
    return make_optimizer({type, args, 1e-3}, {{"unet", start(at::kFloat), 1e-3}})->description();
  };
  EXPECT_EQ(description("", {}), "torch.optim.adamw.AdamW");
  EXPECT_EQ(description("ADAMW", {"weight_decay=.05", "betas=.9,.99"}),
            "torch.optim.adamw.AdamW(weight_decay=0.05,betas=(0.9, 0.99))");
  EXPECT_EQ(description("SGDNesterov", {}), "torch.optim.sgd.SGD(momentum=0.9)");
  EXPECT_EQ(description("adafactor", {"warmup_init=True", "relative_step=False"}),
            "transformers.optimization.Adafactor(warmup_init=True,relative_step=True)");
  EXPECT_EQ(description("Lion", {"betas=[0.9,0.99]"}), "lion_pytorch.lion_pytorch.Lion(betas=[0.9, 0.99])");
}

TEST_F(OptimizersTest, unknown_names_and_bad_values_are_refused) {
  const auto refuses = [&](const char* type, std::vector<std::string> args, const char* text, double lr = 1e-3) {
    try {
      make_optimizer({type, args, lr}, {{"unet", start(at::kFloat), 1e-3}});
      FAIL() << text;
    } catch (const UserError& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr(text));
    }
  };
  refuses("AdamWW", {}, "'AdamWW' is not available (did you mean 'AdamW'?), expected one of AdamW, Lion");
  refuses("AdamW", {"weight_decya=0.1"}, "no argument 'weight_decya' (did you mean 'weight_decay'?), expected one of");
  refuses("AdamW", {"weight_decay"}, "'weight_decay' is not of the form NAME=VALUE");
  refuses("AdamW", {"weight_decay=abc"}, "argument 'weight_decay': 'abc' is not a Python value");
  refuses("AdamW", {"weight_decay=None"}, "weight_decay is None for optimizer AdamW, expected a number");
  refuses("AdamW", {"betas=0.9"}, "expected two numbers");
  refuses("AdamW", {"betas=0.9,1"}, "betas[1] is 1, expected 0 or more and below 1");
  refuses("AdamW", {"eps=-1"}, "eps is -1");
  refuses("AdamW", {"amsgrad=1"}, "expected True or False");
  refuses("Lion", {}, "Lion needs a --learning_rate above 0", 0);
  refuses("SGDNesterov", {"momentum=0"}, "momentum is 0");
  refuses("Adafactor", {"clip_threshold=0"}, "clip_threshold is 0");
  refuses("Prodigy", {"d0=0"}, "d0 is 0");
  refuses("Prodigy", {"slice_p=0"}, "slice_p is 0");
  const std::vector<at::Tensor> params = start(at::kFloat);
  EXPECT_THROW(make_optimizer({"Prodigy"}, {{"te", {params[0]}, 1.0}, {"unet", {params[1]}, 0.5}}), UserError);
  EXPECT_THROW(make_optimizer({}, {}), UserError);
  EXPECT_THROW(make_optimizer({}, {{"unet", {}, 1e-3}}), UserError);
}

TEST_F(OptimizersTest, adafactor_sets_its_own_learning_rate_unless_told_not_to) {
  const auto make = [&](std::vector<std::string> args) {
    return make_optimizer({"Adafactor", args, 3e-4}, {{"unet", start(at::kFloat), 1e-3}});
  };
  EXPECT_TRUE(make({})->sets_own_lr());
  EXPECT_EQ(make({})->effective_lr(0), 3e-4);
  EXPECT_FALSE(make({"relative_step=False"})->sets_own_lr());
  EXPECT_EQ(make({"relative_step=False"})->groups()[0].lr, 1e-3);
}

// With a schedule the log shows the rate of the step to come, as for every other optimizer.
TEST_F(OptimizersTest, adafactor_with_a_fixed_rate_reports_that_of_its_group) {
  auto params = start(at::kFloat);
  const auto optimizer =
      make_optimizer({"Adafactor", {"relative_step=False", "scale_parameter=False"}, 3e-4}, {{"unet", params, 1e-3}});
  for (at::Tensor& param : params) param.mutable_grad() = at::ones_like(param);
  optimizer->step();
  optimizer->groups()[0].lr = 5e-4;
  EXPECT_EQ(optimizer->effective_lr(0), 5e-4);
}

}  // namespace
}  // namespace difftune
