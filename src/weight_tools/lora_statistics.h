// What there is to see in the matrices of a LoRA.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "weights/tensor_source.h"

namespace difftune {

// Whether a tensor of this name is one of a LoRA's matrices (also of a PEFT or OFT one).
bool is_adapter_weight(std::string_view key);

struct TensorStatistics {
  double mean_magnitude = 0, min_magnitude = 0;  // in fp32
  bool is_finite = true;
};
TensorStatistics statistics(const at::Tensor& tensor);

// "(4-320)", "(4,)", "()": the shape as the reference prints it in a comma-separated line.
std::string shape_column(const std::vector<int64_t>& shape);

}  // namespace difftune
