#include "tiny_sd/weight_editor.h"

#include <ATen/TensorOperators.h>
#include <fmt/format.h>

#include <cmath>

#include "base/error.h"

namespace difftune::tiny {

at::Tensor WeightEditor::parameter(std::string_view path) const {
  for (const auto& entry : index_.parameters) {
    if (entry.path == path) return *entry.tensor;
  }
  throw InternalError(fmt::format("the model has no {}", path));
}

void WeightEditor::clear(const std::string& layer) const {
  parameter(layer + ".weight").zero_();
  parameter(layer + ".bias").zero_();
}

void WeightEditor::clear_channel(const std::string& layer, int64_t out) const {
  parameter(layer + ".weight")[out].zero_();
  parameter(layer + ".bias")[out].zero_();
}

void WeightEditor::pass(const std::string& layer, int64_t in, int64_t out, double factor) const {
  const at::Tensor weight = parameter(layer + ".weight");
  const int64_t middle = weight.size(2) / 2;
  clear_channel(layer, out);
  weight[out][in][middle][middle] = factor;
}

void WeightEditor::pass_as_group(const std::string& layer, int64_t in, int64_t signal) const {
  pass(layer, in, kGroup * signal, 1);
  pass(layer, in, kGroup * signal + 1, -1);
  clear_channel(layer, kGroup * signal + 2);
  const at::Tensor bias = parameter(layer + ".bias");
  bias[kGroup * signal] = kOffset;
  bias[kGroup * signal + 1] = kOffset;
  bias[kGroup * signal + 2] = -2 * kOffset;
}

void WeightEditor::read_group(const std::string& norm, const std::string& layer, int64_t signal, int64_t out) const {
  parameter(norm + ".weight")[kGroup * signal] = kOffset * std::sqrt(2.0);
  pass(layer, kGroup * signal, out);
  parameter(layer + ".bias")[out] = -kOffset / (1 + std::exp(-kOffset));
}

}  // namespace difftune::tiny
