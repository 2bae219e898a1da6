#include "optim/grad_scaler.h"

#include <limits>

#include "../diffusion/expected.h"
#include "base/error.h"

namespace difftune {
namespace {

TEST(GradScalerTest, skips_overflows_and_adapts_as_torch_does) {
  const nlohmann::json expected = read_expected("optim/optimizers.json");
  const at::Tensor param = to_tensor(expected.at("start")[0]).set_requires_grad(true);
  GradScaler scaler(at::kCPU, {.initial_scale = 1024, .growth_interval = 2});
  for (size_t step = 0; step < 5; ++step) {
    at::Tensor loss = param.mul(to_tensor(expected.at("gradients")[step][0])).sum();
    if (step == 2) loss = loss.mul(std::numeric_limits<double>::infinity());
    scaler.scale(loss).backward();
    EXPECT_EQ(scaler.unscale({param}), step != 2);
    if (step != 2) param.detach().add_(param.grad(), -0.1);
    param.mutable_grad().reset();
    scaler.update();
    EXPECT_EQ(scaler.current_scale(), expected.at("scaler").at("scales")[step].get<double>());
    GradScaler restored(at::kCPU, {.initial_scale = 1, .growth_interval = 2});
    restored.load_state(scaler.state(), "scaler.safetensors");
    scaler = restored;
  }
  EXPECT_TRUE(as_in_python(param.detach(), to_tensor(expected.at("scaler").at("param"))));
}

TEST(GradScalerTest, incomplete_state_is_refused) {
  EXPECT_THROW(GradScaler(at::kCPU).load_state({}, "scaler.safetensors"), UserError);
}

}  // namespace
}  // namespace difftune
