#include "weight_tools/resize_lora.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/scalar_tensor.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>

#include "base/error.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "weight_tools/low_rank.h"

namespace difftune {
namespace {

using Part = AdapterPart;

// A module whose largest singular value is not above this does nothing.
constexpr double kSmallestValue = 1e-6;

struct Factors {
  at::Tensor down, up;
};

bool is_plain_lora(const AdapterModule& module) { return module.kind == AdapterKind::lora && !module.has(Part::mid); }

ResizedModule resize_module(const AdapterFile& file, const AdapterModule& module, const ResizeRules& rules,
                            Factors& factors) {
  const at::Tensor down = file.tensor(module, Part::down, at::kFloat), up = file.tensor(module, Part::up, at::kFloat);
  const bool is_conv = down.dim() == 4;
  const at::Tensor down_matrix = down.flatten(1), up_matrix = up.flatten(1);
  const int64_t size = std::min(up_matrix.size(0), down_matrix.size(1));
  const int64_t max_rank = is_conv ? rules.conv_rank : rules.rank;

  TruncatedSvd svd = svd_of_product(up_matrix, down_matrix);
  const at::Tensor values = svd.s.to(at::kDouble);
  const std::vector<double> s(values.const_data_ptr<double>(), values.const_data_ptr<double>() + values.numel());
  ResizedModule resized{.name = module.name, .old_rank = down.size(0)};
  resized.new_rank = std::min(choose_rank(s, size, max_rank, rules.method, rules.parameter), size);
  const auto alpha = file.alpha(module);
  const double scale = alpha ? static_cast<float>(*alpha) / static_cast<float>(resized.old_rank) : 1.0;
  resized.new_alpha = scale * static_cast<double>(resized.new_rank);

  double sum = 0, kept_sum = 0, square = 0, kept_square = 0;
  for (size_t i = 0; i < s.size(); ++i) {
    const bool is_kept = static_cast<int64_t>(i) < resized.new_rank;
    sum += s[i];
    square += s[i] * s[i];
    if (is_kept) kept_sum += s[i], kept_square += s[i] * s[i];
  }
  const auto last = static_cast<size_t>(resized.new_rank) - 1;
  resized.sum_retained = kept_sum / sum;
  resized.fro_retained = std::sqrt(kept_square / square);
  resized.max_ratio = last < s.size() ? s[0] / s[last] : std::numeric_limits<double>::infinity();

  if (resized.new_rank > svd.rank()) {
    extend_with_zeros(svd, resized.new_rank, /*seed=*/0);
  } else {
    svd = truncated(svd, resized.new_rank);
  }
  std::vector<int64_t> down_shape = down.sizes().vec(), up_shape = up.sizes().vec();
  down_shape[0] = up_shape[1] = resized.new_rank;
  factors.down = svd.vh.reshape(down_shape);
  factors.up = (svd.u * svd.s).reshape(up_shape);
  return resized;
}

}  // namespace

int64_t choose_rank(const std::vector<double>& s, int64_t size, int64_t max_rank, RankMethod method, double parameter) {
  if (s.empty() || s[0] <= kSmallestValue) return 1;
  const auto index_of_share = [&](double power, double target) {
    double total = 0, sum = 0;
    for (const double value : s) total += std::pow(value, power);
    size_t index = 0;
    while (index < s.size() && (sum += std::pow(s[index], power)) / total < target) ++index;
    return static_cast<int64_t>(index) + 1;
  };
  int64_t index = 0;
  switch (method) {
    case RankMethod::fixed:
      return max_rank;
    case RankMethod::sv_ratio:
      index = std::count_if(s.begin(), s.end(), [&](double value) { return value > s[0] / parameter; });
      break;
    case RankMethod::sv_cumulative:
      index = index_of_share(1, parameter);
      break;
    case RankMethod::sv_fro:
      index = index_of_share(2, parameter * parameter);
      break;
  }
  index = std::max<int64_t>(1, std::min(index, size - 1));
  return std::min(index + 1, max_rank);
}

ResizedLora resize_lora(const AdapterFile& file, const ResizeRules& rules) {
  ResizedLora result;
  std::vector<const AdapterModule*> modules;
  for (const AdapterModule& module : file.modules()) {
    if (is_plain_lora(module)) {
      modules.push_back(&module);
    } else {
      result.untouched.push_back(module.name);
    }
  }
  if (modules.empty()) {
    fail("{}: has no LoRA module; {} cannot be resized", file.path().string(),
         adapter_kind_name(file.modules()[0].kind));
  }
  std::vector<Factors> factors(modules.size());
  result.modules.resize(modules.size());
  {
    Progress progress("resizing", static_cast<int64_t>(modules.size()), "modules");
    parallel_for(modules.size(), [&](size_t i) {
      result.modules[i] = resize_module(file, *modules[i], rules, factors[i]);
      progress.advance();
    });
  }

  std::unordered_map<std::string, at::Tensor> changed;
  std::vector<NamedTensor> new_alphas;
  for (size_t i = 0; i < modules.size(); ++i) {
    const AdapterModule& module = *modules[i];
    changed[module.key(Part::down)] = factors[i].down;
    changed[module.key(Part::up)] = factors[i].up;
    const at::Tensor alpha = at::scalar_tensor(result.modules[i].new_alpha, at::kFloat);
    if (module.has(Part::alpha)) {
      changed[module.key(Part::alpha)] = alpha;
    } else {
      new_alphas.emplace_back(module.name + ".alpha", alpha);
    }
  }
  for (const std::string& key : file.source().keys()) {
    const auto found = changed.find(key);
    const at::Tensor tensor = found != changed.end() ? found->second : file.source().tensor(key).to(at::kFloat);
    result.tensors.emplace_back(key, tensor.to(rules.save_dtype).contiguous());
  }
  for (const auto& [name, alpha] : new_alphas) result.tensors.emplace_back(name, alpha.to(rules.save_dtype));
  return result;
}

}  // namespace difftune
