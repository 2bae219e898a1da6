// Three frozen layers and what a low-rank adapter does to them (tests/data/adapters/make_lora.py).
#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/isfinite.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "adapters/lora.h"
#include "base/error.h"
#include "nn/random_state.h"
#include "weights/safetensors.h"

namespace difftune {

inline const SafetensorsFile& golden_file() {
  static const SafetensorsFile file(fs::path(TEST_DATA_DIR) / "adapters" / "lora.safetensors");
  return file;
}
inline at::Tensor golden(const std::string& key) { return golden_file().tensor(key).clone(); }

class GoldenReader : public nn::ParameterReader {
 public:
  at::Tensor read(const std::string& path, at::IntArrayRef, nn::Init, int64_t) override { return golden(path); }
  c10::ScalarType dtype() const override { return at::kFloat; }
};

struct SmallLayers {
  GoldenReader reader;
  nn::ModelIndex index;
  nn::ParameterScope scope{reader, index};
  nn::Linear linear{scope / "linear", 12, 20};
  nn::Conv2d conv1x1{scope / "conv1x1", 8, 16, 1};
  nn::Conv2d conv3x3{scope / "conv3x3", 8, 12, 3, 2, 1};

  // Named as the layers; the 3x3 convolution is a block that only --network_args conv_dim asks for.
  std::vector<AdapterTarget> targets() {
    return {{&linear, "linear", 0}, {&conv1x1, "conv1x1", 0}, {&conv3x3, "conv3x3", 0, true}};
  }
};

inline const LoraConfig kAllLayers = {.rank = 4, .alpha = 2, .conv_rank = 4, .conv_alpha = 2};

inline at::Generator cpu_generator() { return nn::default_generator(c10::kCPU); }

// |a - b| / |b|, or the difference itself where b is zero.
inline double relative_error(const at::Tensor& a, const at::Tensor& b) {
  if (!a.defined() || a.sizes() != b.sizes() || !at::isfinite(a).all().item<bool>()) return INFINITY;
  const double difference = (a - b).norm().item<double>(), size = b.norm().item<double>();
  return size > 0 ? difference / size : difference;
}

// Puts the golden matrices into the network.
inline void load_golden(LoraNetwork& network) {
  std::vector<NamedTensor> tensors;
  for (const std::string layer : {"linear", "conv1x1", "conv3x3"}) {
    tensors.emplace_back(layer + ".lora_down.weight", golden(layer + ".down"));
    tensors.emplace_back(layer + ".lora_up.weight", golden(layer + ".up"));
  }
  network.load(MemorySource(tensors));
}

// The text of the UserError that `act` throws, or "" where it throws none.
template <typename Act>
std::string error_of(const Act& act) {
  try {
    act();
  } catch (const UserError& e) {
    return e.what();
  }
  return "";
}

}  // namespace difftune
