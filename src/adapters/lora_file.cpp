#include "adapters/lora_file.h"

#include <fmt/ranges.h>

#include "base/error.h"

namespace difftune {

LoraFactors read_lora_factors(const TensorSource& file, const AdapterTarget& target,
                              std::pair<int64_t, double> rank_and_alpha) {
  const auto [rank, alpha] = rank_and_alpha;
  const std::string down_key = target.name + ".lora_down.weight", up_key = target.name + ".lora_up.weight";
  if (!file.contains(up_key)) fail("{}: {} is missing beside {}", file.path().string(), up_key, down_key);
  LoraFactors factors{file.tensor(down_key).to(at::kFloat), file.tensor(up_key).to(at::kFloat),
                      alpha / static_cast<double>(rank)};
  const at::Tensor& weight = target.layer->weight;
  if (factors.up.numel() != weight.size(0) * rank || factors.up.size(0) != weight.size(0) ||
      factors.down.numel() * weight.size(0) != weight.numel() * rank) {
    fail("{}: {} has up {} and down {}, which do not fit the layer's weight {}", file.path().string(), target.name,
         fmt::join(factors.up.sizes(), "x"), fmt::join(factors.down.sizes(), "x"), fmt::join(weight.sizes(), "x"));
  }
  return factors;
}

}  // namespace difftune
