#include "weight_tools/split_dylora.h"

#include <algorithm>
#include <unordered_map>

#include "base/error.h"

namespace difftune {

int64_t largest_rank(const AdapterFile& file) {
  int64_t largest = 0;
  for (const AdapterModule& module : file.modules()) {
    if (module.kind != AdapterKind::lora) {
      fail("{}: {} is a {} module, expected a DyLoRA", file.path().string(), module.name,
           adapter_kind_name(module.kind));
    }
    largest = std::max(largest, file.rank(module));
  }
  return largest;
}

std::vector<int64_t> dylora_ranks(const AdapterFile& file, int64_t unit) {
  const int64_t largest = largest_rank(file);
  std::vector<int64_t> ranks;
  for (int64_t rank = unit; rank < largest; rank += unit) ranks.push_back(rank);
  if (ranks.empty()) {
    fail("{}: its rank is {}, so that there is nothing to split off with --unit {}; use a smaller one",
         file.path().string(), largest, unit);
  }
  return ranks;
}

std::vector<NamedTensor> first_ranks(const AdapterFile& file, int64_t rank) {
  std::unordered_map<std::string, int> rank_axis;
  for (const AdapterModule& module : file.modules()) {
    rank_axis.emplace(module.key(AdapterPart::down), 0);
    rank_axis.emplace(module.key(AdapterPart::up), 1);
  }
  std::vector<NamedTensor> tensors;
  for (const std::string& key : file.source().keys()) {
    at::Tensor tensor = file.source().tensor(key);
    if (const auto axis = rank_axis.find(key); axis != rank_axis.end()) {
      tensor = tensor.narrow(axis->second, 0, std::min(rank, tensor.size(axis->second))).contiguous();
    }
    tensors.emplace_back(key, tensor);
  }
  if (const std::string name = first_non_finite(tensors); !name.empty()) {
    fail("{}: {} holds a NaN or an infinity", file.path().string(), name);
  }
  return tensors;
}

}  // namespace difftune
