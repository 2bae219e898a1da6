// Where tensors live. The program is linked with LibTorch's CPU half; the CUDA half is opened at run time.
#pragma once

#include <c10/core/Device.h>

namespace difftune::nn {

// The GPU where an NVIDIA driver and libtorch_cuda.so are found, else the CPU. The first call opens the CUDA backend;
// it must come before the first question such as at::hasCUDA(), whose answer LibTorch keeps.
c10::Device training_device();

}  // namespace difftune::nn
