#include "nn/random_state.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>

#include <mutex>

namespace difftune::nn {
namespace {

at::Tensor state_of(at::Generator generator) {
  std::lock_guard lock(generator.mutex());
  return generator.get_state();
}

}  // namespace

at::Generator default_generator(c10::Device device) { return at::globalContext().defaultGenerator(device); }

RandomState RandomState::capture() {
  RandomState state;
  state.cpu = state_of(at::detail::getDefaultCPUGenerator());
  if (at::hasCUDA()) {
    for (int i = 0; i < static_cast<int>(at::detail::getCUDAHooks().deviceCount()); ++i) {
      state.cuda.push_back(state_of(default_generator(c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(i)))));
    }
  }
  return state;
}

void RandomState::restore() const {
  const auto put = [](at::Generator generator, const at::Tensor& state) {
    std::lock_guard lock(generator.mutex());
    generator.set_state(state);
  };
  put(at::detail::getDefaultCPUGenerator(), cpu);
  for (size_t i = 0; i < cuda.size() && at::hasCUDA(); ++i) {
    put(default_generator(c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(i))), cuda[i]);
  }
}

void seed_generators(uint64_t seed) {
  const auto put = [seed](at::Generator generator) {
    std::lock_guard lock(generator.mutex());
    generator.set_current_seed(seed);
  };
  put(at::detail::getDefaultCPUGenerator());
  if (at::hasCUDA()) {
    for (int i = 0; i < static_cast<int>(at::detail::getCUDAHooks().deviceCount()); ++i) {
      put(default_generator(c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(i))));
    }
  }
}

}  // namespace difftune::nn
