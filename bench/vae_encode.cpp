// Encoding of one image by the VAE.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/randn.h>
#include <fmt/format.h>

#include "bench/bench.h"
#include "families/family_table.h"
#include "nn/pooled_allocator.h"

namespace difftune::bench {

void run_vae_encode(const Settings& settings) {
  if (settings.checkpoint.empty()) return;
  const at::NoGradGuard no_grad;
  nn::trim_pooled_memory();
  forget_highest_resident();
  ModelRequest request;
  request.checkpoint = settings.checkpoint;
  const auto family = open_model(request, "train_network", false);
  family->load(Component::vae);
  const at::Tensor image = at::randn({1, 3, settings.size_px, settings.size_px}).clamp_(-1, 1);
  const Seconds seconds = fastest_run([&] { family->encode_latents(image); }, settings.num_runs);
  // 273 GFLOP at 256x256 px; convolutions, which are nearly all of it, grow with the area.
  const double area = static_cast<double>(settings.size_px * settings.size_px) / (256.0 * 256.0);
  print_result(fmt::format("VAE encode {}x{} px", settings.size_px, settings.size_px), seconds, 273 * area);
  fmt::print("  resident {:.2f} GB at most\n", resident_bytes("VmHWM") * 1e-9);
}

}  // namespace difftune::bench
