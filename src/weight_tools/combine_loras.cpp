#include "weight_tools/combine_loras.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/randperm.h>
#include <ATen/ops/scalar_tensor.h>
#include <fmt/ranges.h>

#include <cmath>
#include <map>
#include <random>
#include <unordered_map>

#include "base/error.h"
#include "base/python_format.h"

namespace difftune {
namespace {

using Part = AdapterPart;

struct Factors {
  at::Tensor down, up;
  double alpha = 0;
  int64_t first_rank = 0;
};

void require_plain_lora(const AdapterFile& file, const AdapterModule& module) {
  const bool is_plain = module.kind == AdapterKind::lora && !module.has(Part::mid) && !module.has(Part::magnitude);
  if (is_plain) return;
  const std::string kind = module.kind != AdapterKind::lora ? std::string(adapter_kind_name(module.kind))
                           : module.has(Part::magnitude)    ? "DoRA"
                                                            : "Tucker-decomposed";
  fail("{}: {} is a {} module, which can be merged into a checkpoint (--sd_model) and not into another LoRA",
       file.path().string(), module.name, kind);
}

at::Tensor scaled(const at::Tensor& tensor, double factor) { return factor == 1 ? tensor.clone() : tensor * factor; }

// "4" where all are equal, else "Dynamic"; numbers as Python prints them.
template <typename Range, typename Format>
std::string common_or_dynamic(const Range& values, Format format) {
  for (const auto& value : values) {
    if (value != values.front()) return "Dynamic";
  }
  return format(values.front());
}

void merge_factor(at::Tensor& merged, const at::Tensor& other, int64_t concat_axis, Combination combination,
                  const AdapterFile& file, const std::string& key) {
  if (!merged.defined()) {
    merged = other;
  } else if (combination == Combination::concatenate) {
    const bool fits = merged.dim() == other.dim() &&
                      merged.narrow(concat_axis, 0, 1).sizes() == other.narrow(concat_axis, 0, 1).sizes();
    if (!fits) {
      fail("{}: {} [{}] does not fit that of the files before it [{}]: the LoRAs are for different models",
           file.path().string(), key, fmt::join(other.sizes(), ", "), fmt::join(merged.sizes(), ", "));
    }
    merged = at::cat({merged, other}, concat_axis);
  } else {
    if (merged.sizes() != other.sizes()) {
      fail(
          "{}: {} [{}] does not fit that of the files before it [{}]: only LoRAs of equal rank can be added; --concat "
          "or svd_merge_lora take different ones",
          file.path().string(), key, fmt::join(other.sizes(), ", "), fmt::join(merged.sizes(), ", "));
    }
    merged = merged + other;
  }
}

}  // namespace

LoraResult combine_loras(const std::vector<MergeInput>& inputs, Combination combination, const MergeRules& rules) {
  std::vector<std::string> order;
  std::unordered_map<std::string, Factors> merged;
  for (const MergeInput& input : inputs) {
    const AdapterFile& file = *input.file;
    for (const AdapterModule& module : file.modules()) {
      require_plain_lora(file, module);
      const std::string name = sd_scripts_module_name(module.name);
      const at::Tensor down = file.tensor(module, Part::down, rules.precision);
      const at::Tensor up = file.tensor(module, Part::up, rules.precision);
      const int64_t rank = down.size(0);
      const auto stored = file.alpha(module);
      const double alpha = stored ? at::scalar_tensor(*stored, rules.precision).item<double>() : rank;
      const auto [place, is_new] = merged.try_emplace(name);
      Factors& factors = place->second;
      if (is_new) {
        order.push_back(name);
        factors.alpha = alpha;
        factors.first_rank = rank;
      }
      double scale = input.ratio;
      if (combination == Combination::add_old) {
        if (alpha != factors.alpha) {
          fail("{}: the alpha of {} is {}, that of the files before it {}: merge_lora takes different ones",
               file.path().string(), module.name, alpha, factors.alpha);
        }
      } else {
        scale *= std::sqrt(alpha / factors.alpha);
      }
      double up_scale = combination == Combination::add_old ? scale : std::abs(scale);
      if (input.block_weights != nullptr) {
        const double factor = input.block_weights->factor(name, rules.block_names_of_sdxl);
        scale *= factor;
        up_scale *= factor;
      }
      merge_factor(factors.down, scaled(down, scale), 0, combination, file, module.key(Part::down));
      merge_factor(factors.up, scaled(up, up_scale), 1, combination, file, module.key(Part::up));
    }
  }

  LoraResult result;
  std::vector<int64_t> ranks;
  std::vector<double> alphas;
  for (const std::string& name : order) {
    const Factors& factors = merged.at(name);
    result.tensors.emplace_back(name + ".lora_down.weight", factors.down);
    result.tensors.emplace_back(name + ".lora_up.weight", factors.up);
    result.tensors.emplace_back(name + ".alpha", at::scalar_tensor(factors.alpha, at::kFloat));
    ranks.push_back(factors.first_rank);
    alphas.push_back(factors.alpha);
  }
  // As in sd-scripts, the ranks are those of the first file also where factors were put side by side.
  result.network_dim = common_or_dynamic(ranks, [](int64_t rank) { return std::to_string(rank); });
  result.network_alpha = common_or_dynamic(alphas, [](double alpha) { return python_repr(alpha); });
  return result;
}

void shuffle_ranks(std::vector<NamedTensor>& lora) {
  std::map<std::string, at::Tensor*> by_name;
  for (auto& [name, tensor] : lora) by_name.emplace(name, &tensor);
  const auto generator = at::detail::createCPUGenerator(std::random_device{}());
  constexpr std::string_view kDown = ".lora_down.weight";
  for (auto& [name, down] : lora) {
    if (!name.ends_with(kDown)) continue;
    at::Tensor& up = *by_name.at(name.substr(0, name.size() - kDown.size()) + ".lora_up.weight");
    const at::Tensor order = at::randperm(down.size(0), generator, at::kLong, c10::Layout::Strided, at::kCPU, false);
    down = at::index_select(down, 0, order);
    up = at::index_select(up, 1, order);
  }
}

void convert_lora(std::vector<NamedTensor>& lora, c10::ScalarType dtype) {
  for (auto& [name, tensor] : lora) tensor = tensor.to(dtype).contiguous();
  if (const std::string name = first_non_finite(lora); !name.empty()) {
    fail(
        "{} of the result holds a NaN or an infinity in the precision of the output; --save_precision float or bf16 "
        "has a wider range",
        name);
  }
}

}  // namespace difftune
