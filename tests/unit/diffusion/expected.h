// Expected values that the make_*.py scripts in tests/data wrote.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace difftune {

inline nlohmann::json read_expected(const std::string& path) {
  std::ifstream file(std::string(TEST_DATA_DIR) + "/" + path);
  EXPECT_TRUE(file) << path;
  return nlohmann::json::parse(file);
}

inline at::Tensor to_tensor(const nlohmann::json& json) {
  static const std::map<std::string, at::ScalarType> types = {
      {"float32", at::kFloat}, {"float64", at::kDouble}, {"bfloat16", at::kBFloat16}, {"int64", at::kLong}};
  return at::tensor(json.at("data").get<std::vector<double>>(), at::TensorOptions(at::kDouble))
      .reshape(json.at("shape").get<std::vector<int64_t>>())
      .to(types.at(json.at("dtype")));
}

// The largest difference relative to the largest value.
inline double relative_error(const at::Tensor& actual, const at::Tensor& expected) {
  const at::Tensor a = actual.to(at::kDouble), e = expected.to(at::kDouble);
  return a.sub(e).abs().max().item<double>() / e.abs().max().item<double>();
}

inline testing::AssertionResult same_bits(const at::Tensor& actual, const at::Tensor& expected) {
  if (actual.scalar_type() != expected.scalar_type()) return testing::AssertionFailure() << "other dtype";
  if (actual.sizes() != expected.sizes()) return testing::AssertionFailure() << "other shape";
  if (at::equal(actual, expected)) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "values differ, relative error " << relative_error(actual, expected);
}

// What Python got: its bits on a processor like the one that made the data. LibTorch's kernels differ among processors,
// AVX ones included, and Python differs with them, so elsewhere the last bits may too.
inline testing::AssertionResult as_in_python(const at::Tensor& actual, const at::Tensor& expected) {
  testing::AssertionResult result = same_bits(actual, expected);
  if (result || actual.scalar_type() != expected.scalar_type()) return result;
  const double tolerance = actual.scalar_type() == at::kBFloat16 ? 1e-2 : 2e-6;
  return actual.sizes() == expected.sizes() && relative_error(actual, expected) < tolerance
             ? testing::AssertionSuccess()
             : result;
}

}  // namespace difftune
