// Layouts of real checkpoints and of LoRA files (tests/data/weights, tests/data/adapters).
#pragma once

#include <ATen/ops/empty.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "weights/tensor_source.h"

namespace difftune {

inline nlohmann::json read_json_gz(const std::string& name) {
  std::string text;
  gzFile file = gzopen((fs::path(TEST_DATA_DIR) / name).c_str(), "rb");
  char buffer[1 << 16];
  for (int n; file != nullptr && (n = gzread(file, buffer, sizeof buffer)) > 0;) text.append(buffer, n);
  gzclose(file);
  return nlohmann::json::parse(text);
}

// The checkpoint's keys with tensors that take no memory.
inline std::shared_ptr<const MemorySource> checkpoint_of(const nlohmann::json& layout) {
  std::vector<NamedTensor> tensors;
  for (const auto& [key, shape] : layout["checkpoint"].items()) {
    tensors.emplace_back(key, at::empty(shape.get<std::vector<int64_t>>(), at::TensorOptions(c10::kMeta)));
  }
  return std::make_shared<MemorySource>(std::move(tensors));
}

}  // namespace difftune
