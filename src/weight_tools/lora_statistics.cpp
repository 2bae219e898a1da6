#include "weight_tools/lora_statistics.h"

#include <ATen/ops/abs.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/min.h>
#include <fmt/ranges.h>

#include <cmath>

#include "weights/finite.h"

namespace difftune {

bool is_adapter_weight(std::string_view key) {
  for (const char* part : {"lora_up", "lora_down", "lora_A", "lora_B", "oft_"}) {
    if (key.find(part) != key.npos) return true;
  }
  return false;
}

TensorStatistics statistics(const at::Tensor& tensor) {
  if (tensor.numel() == 0) return {NAN, NAN, true};
  const at::Tensor magnitudes = at::abs(tensor.to(at::kFloat));
  return {at::mean(magnitudes).item<double>(), at::min(magnitudes).item<double>(), all_finite(tensor)};
}

std::string shape_column(const std::vector<int64_t>& shape) {
  return fmt::format("({}{})", fmt::join(shape, "-"), shape.size() == 1 ? "," : "");
}

}  // namespace difftune
