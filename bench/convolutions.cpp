// The convolutions of an SD 1.5 U-Net at 32x32 latents: forward, and backward to the input.
#include <ATen/ops/randn.h>
#include <fmt/format.h>

#include "bench/bench.h"
#include "nn/frozen.h"

namespace difftune::bench {

void run_convolutions(const Settings& settings) {
  struct Shape {
    int64_t in, out, side;
  };
  constexpr Shape shapes[] = {{320, 320, 32},  {960, 320, 32},  {640, 640, 16},  {1920, 640, 16},
                              {1280, 1280, 8}, {2560, 1280, 8}, {1280, 1280, 4}, {2560, 1280, 4}};
  for (const auto dtype : settings.dtypes) {
    for (const auto& [in, out, side] : shapes) {
      const at::Tensor weight = at::randn({out, in, 3, 3}).to(dtype).contiguous(at::MemoryFormat::ChannelsLast);
      const at::Tensor bias = at::randn({out}).to(dtype);
      const at::Tensor x = at::randn({1, in, side, side}).to(dtype).contiguous(at::MemoryFormat::ChannelsLast);
      const at::Tensor grad = at::randn({1, out, side, side}).to(dtype).contiguous(at::MemoryFormat::ChannelsLast);
      const double gflop = 2.0 * in * out * 9 * side * side * 1e-9;
      const auto name = fmt::format("conv {}->{} @{}x{} {}", in, out, side, side, toString(dtype));
      print_result(name, fastest_run([&] { nn::frozen_conv2d(x, weight, bias, 1, 1); }, settings.num_runs), gflop,
                   dtype);
      const at::Tensor leaf = at::Tensor(x).detach().requires_grad_(true);
      const Seconds both =
          fastest_run([&] { nn::frozen_conv2d(leaf, weight, bias, 1, 1).backward(grad); }, settings.num_runs);
      print_result("  with backward", both, 2 * gflop, dtype);
    }
  }
}

}  // namespace difftune::bench
