// Tiny checkpoints of random weights by the layouts of tests/data/pipelines; see tiny_checkpoint.py there, which
// explains the layouts and writes the same files.
#pragma once

#include <ATen/ops/empty.h>

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/python_random.h"
#include "weights/safetensors.h"

namespace difftune {

inline const fs::path kPipelineData = fs::path(TEST_DATA_DIR) / "pipelines";

inline std::vector<NamedTensor> tiny_tensors(const std::string& layout_name) {
  const auto layout = nlohmann::json::parse(read_file(kPipelineData / "layouts" / (layout_name + ".json")));
  PythonRandom generator(layout.at("seed").get<uint64_t>());
  std::vector<NamedTensor> tensors;
  // nlohmann::json sorts keys by their bytes, as Python does.
  for (const auto& [key, entry] : layout.at("tensors").items()) {
    const auto shape = entry.at(0).get<std::vector<int64_t>>();
    const double scale = std::exp2(entry.at(1).get<double>()), base = entry.at(2).get<double>();
    std::array<c10::Half, 256> values;
    for (int b = 0; b < 256; ++b)
      values[b] = static_cast<c10::Half>(static_cast<float>(base + (b - 128) / 128.0 * scale));
    at::Tensor tensor = at::empty(shape, at::kHalf);
    auto* out = tensor.mutable_data_ptr<c10::Half>();
    uint32_t word = 0;
    for (int64_t i = 0; i < tensor.numel(); ++i) {
      word = i % 4 == 0 ? generator.next_u32() : word >> 8;
      out[i] = values[word & 0xFF];
    }
    tensors.push_back({key, tensor});
  }
  return tensors;
}

// One file of one or several layouts.
inline fs::path write_tiny_checkpoint(const fs::path& path, const std::vector<std::string>& layouts) {
  std::vector<NamedTensor> tensors;
  for (const std::string& layout : layouts) {
    for (NamedTensor& tensor : tiny_tensors(layout)) tensors.push_back(std::move(tensor));
  }
  fs::create_directories(path.parent_path());
  write_safetensors(path, tensors, Metadata());
  return path;
}

}  // namespace difftune
