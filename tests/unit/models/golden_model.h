// A small model made by tests/data/models/make_models.py, and how results are compared with it.
#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/isfinite.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "base/error.h"
#include "nn/parameter_scope.h"
#include "weights/safetensors.h"

namespace difftune {

class GoldenModel {
 public:
  explicit GoldenModel(const std::string& name) : file_(fs::path(TEST_DATA_DIR) / "models" / (name + ".safetensors")) {}

  at::Tensor operator[](const std::string& key) const { return file_.tensor(key).clone(); }
  // Keys that begin with `prefix`, without it.
  std::vector<std::string> names(const std::string& prefix) const {
    std::vector<std::string> names;
    for (const auto& key : file_.keys()) {
      if (key.starts_with(prefix)) names.push_back(key.substr(prefix.size()));
    }
    return names;
  }

 private:
  SafetensorsFile file_;
};

// The weights of a golden model, as `dtype`.
class GoldenReader : public nn::ParameterReader {
 public:
  explicit GoldenReader(const GoldenModel& model, c10::ScalarType dtype = at::kFloat) : model_(model), dtype_(dtype) {}
  at::Tensor read(const std::string& path, at::IntArrayRef shape, nn::Init, int64_t) override {
    const at::Tensor weight = model_["weight." + path];
    DT_CHECK(weight.sizes() == shape, "{}", path);
    return weight.to(dtype_);
  }
  c10::ScalarType dtype() const override { return dtype_; }

 private:
  const GoldenModel& model_;
  c10::ScalarType dtype_;
};

// |a - b| / |b|, infinite where shapes differ or a value is not finite.
inline double relative_error(const at::Tensor& a, const at::Tensor& b) {
  if (!a.defined() || a.sizes() != b.sizes() || !at::isfinite(a).all().item<bool>()) return INFINITY;
  const at::Tensor expected = b.to(at::kDouble);
  return ((a.to(at::kDouble) - expected).norm() / expected.norm()).item<double>();
}

// The model reads exactly the weights that the golden model has.
inline void expect_parameters(const nn::ModelIndex& index, const GoldenModel& golden) {
  std::vector<std::string> paths, expected = golden.names("weight.");
  for (const auto& parameter : index.parameters) paths.push_back(parameter.path);
  std::sort(paths.begin(), paths.end());
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(paths, expected);
}

inline void require_gradients(const nn::ModelIndex& index) {
  for (const auto& parameter : index.parameters) parameter.tensor->requires_grad_(true);
}

// The gradients of the weights that the golden model holds.
inline void expect_weight_gradients(const nn::ModelIndex& index, const GoldenModel& golden, double limit) {
  const auto names = golden.names("d_weight.");
  ASSERT_FALSE(names.empty());
  size_t num_found = 0;
  for (const auto& parameter : index.parameters) {
    if (std::find(names.begin(), names.end(), parameter.path) == names.end()) continue;
    EXPECT_LT(relative_error(parameter.tensor->grad(), golden["d_weight." + parameter.path]), limit) << parameter.path;
    ++num_found;
  }
  EXPECT_EQ(num_found, names.size());
}

}  // namespace difftune
