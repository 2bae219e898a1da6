#include "nn/device.h"

#include <ATen/Context.h>
#include <dlfcn.h>

#include <filesystem>

#include "base/log.h"

namespace difftune::nn {
namespace {

bool driver_is_present() { return std::filesystem::exists("/dev/nvidiactl"); }

bool open_cuda_backend() {
  if (!driver_is_present()) return false;
  if (dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    log::warning(
        "an NVIDIA driver is present, but the CUDA backend cannot be opened ({}): running on the CPU. "
        "`./dev build --cuda` installs it",
        dlerror());
    return false;
  }
  return at::hasCUDA();
}

}  // namespace

c10::Device training_device() {
  static const bool has_cuda = open_cuda_backend();
  return has_cuda ? c10::Device(c10::kCUDA, 0) : c10::Device(c10::kCPU);
}

}  // namespace difftune::nn
