// One training step of a LoRA of rank 4 on U-Net and text encoder: forward and backward, batch 1.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/mse_loss.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include "adapters/lora.h"
#include "bench/bench.h"
#include "families/family_table.h"
#include "nn/pooled_allocator.h"
#include "nn/random_state.h"

namespace difftune::bench {

void run_unet_step(const Settings& settings) {
  if (settings.checkpoint.empty()) return;
  for (const auto dtype : settings.dtypes) {
    nn::trim_pooled_memory();
    forget_highest_resident();
    ModelRequest request;
    request.checkpoint = settings.checkpoint;
    request.dtype = dtype;
    const auto family = open_model(request, "train_network", false);
    family->load(Component::text_encoders);
    family->load(Component::denoiser);
    const int64_t loaded = resident_bytes("VmRSS");
    nn::seed_generators(42);
    LoraNetwork lora({}, family->adapter_targets(), at::detail::getDefaultCPUGenerator(), request.device);
    const int64_t side = settings.size_px / 8;
    const at::Tensor latents = at::randn({1, 4, side, side}), noise = at::randn({1, 4, side, side});
    const at::Tensor timesteps = at::tensor({500}, at::kLong);
    double loss_value = 0;
    const auto step = [&] {
      for (auto& [name, parameter] : lora.parameters()) parameter.mutable_grad().reset();
      const auto conditioning = family->encode_text({{"a photo of a cat on a sofa"}});
      const at::Tensor prediction = family->denoise({latents, timesteps, conditioning});
      const at::Tensor loss = at::mse_loss(prediction.to(at::kFloat), noise);
      loss.backward();
      loss_value = loss.item<double>();
    };
    const Seconds seconds = fastest_run(step, settings.num_runs);
    double norm = 0;
    for (const auto& [name, parameter] : lora.parameters()) {
      if (parameter.grad().defined()) norm += parameter.grad().square().sum().item<double>();
    }
    print_result(fmt::format("LoRA step {}x{} px {}", settings.size_px, settings.size_px, toString(dtype)), seconds);
    fmt::print("  loss {:.7f}, squared norm of all gradients {:.6e}; resident {:.2f} GB loaded, {:.2f} GB at most\n",
               loss_value, norm, loaded * 1e-9, resident_bytes("VmHWM") * 1e-9);
  }
}

}  // namespace difftune::bench
