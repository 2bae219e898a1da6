// LibTorch's default generators as one value: what a run draws from, saved and put back.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <vector>

namespace difftune::nn {

// The generators that tensor operations draw from where none is passed: the CPU's, and the current GPU's where one is.
struct RandomState {
  at::Tensor cpu;                // uint8
  std::vector<at::Tensor> cuda;  // one per device; empty without a GPU

  static RandomState capture();
  void restore() const;
};

// Seeds all default generators.
void seed_generators(uint64_t seed);

// The default generator of the device that a tensor lives on.
at::Generator default_generator(c10::Device device);

}  // namespace difftune::nn
