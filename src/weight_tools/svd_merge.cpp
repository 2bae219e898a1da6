#include "weight_tools/svd_merge.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "weight_tools/lapack_like_svd.h"
#include "weight_tools/low_rank.h"

namespace difftune {
namespace {

using Part = AdapterPart;

constexpr double kClampQuantile = 0.99;

// The changes of one module in all files.
struct Sum {
  std::string name;
  std::vector<WeightChange> changes;
  std::vector<double> ratios;
  std::vector<int64_t> down_shape;  // [r, in] or [r, in, k, k]
  bool is_conv() const { return down_shape.size() == 4; }
  bool has_kernel() const { return is_conv() && down_shape[2] * down_shape[3] > 1; }
};

void add_module(const MergeInput& input, const AdapterModule& module, const MergeRules& rules, Sum& sum) {
  const AdapterFile& file = *input.file;
  if (module.kind != AdapterKind::lora || module.has(Part::mid) || module.has(Part::magnitude)) {
    fail("{}: {} is no plain LoRA module, which is all that can be merged by SVD", file.path().string(), module.name);
  }
  const at::Tensor down = file.tensor(module, Part::down, rules.precision).to(at::kFloat);
  const at::Tensor up = file.tensor(module, Part::up, rules.precision).to(at::kFloat).flatten(1);
  const auto shape = down.sizes().vec();
  if (sum.changes.empty()) {
    sum.down_shape = shape;
  } else if (!std::equal(shape.begin() + 1, shape.end(), sum.down_shape.begin() + 1, sum.down_shape.end()) ||
             up.size(0) != sum.changes[0].up.size(0)) {
    fail("{}: {} [{}] does not fit that of the files before it [{}]: the LoRAs are for different models",
         file.path().string(), module.key(Part::down), fmt::join(shape, ", "), fmt::join(sum.down_shape, ", "));
  }
  const double rank = static_cast<double>(down.size(0));
  double scale = file.alpha(module).value_or(rank) / rank;
  if (input.block_weights != nullptr) {
    scale *= input.block_weights->factor(sum.name, input.block_weights->is_for_sdxl());
  }
  sum.changes.push_back({.up = up, .down = down.flatten(1), .scale = scale});
  sum.ratios.push_back(input.ratio);
}

// By the factors alone, side by side.
TruncatedSvd thin_svd(const Sum& sum) {
  std::vector<at::Tensor> ups, downs;
  for (size_t i = 0; i < sum.changes.size(); ++i) {
    ups.push_back(sum.changes[i].up * (sum.ratios[i] * sum.changes[i].scale));
    downs.push_back(sum.changes[i].down);
  }
  return svd_of_product(at::cat(ups, 1), at::cat(downs, 0));
}

// In the order of sd-scripts: the signs that LAPACK gives singular vectors can hang on the last bits.
at::Tensor whole(const Sum& sum) {
  at::Tensor weight = at::zeros({sum.changes[0].up.size(0), sum.changes[0].down.size(1)}, at::kFloat);
  for (size_t i = 0; i < sum.changes.size(); ++i) add_low_rank(sum.changes[i], sum.ratios[i], 0, weight);
  return weight;
}

// By LAPACK where its signs are not told otherwise.
TruncatedSvd svd_with_lapack_signs(const Sum& sum, int64_t rank, bool exact) {
  const at::Tensor weight = whole(sum);
  if (!exact && std::min(weight.size(0), weight.size(1)) > kSmallSide) {
    const TruncatedSvd thin = thin_svd(sum);
    if (thin.rank() >= rank) {
      TruncatedSvd svd = truncated(thin, rank);
      if (take_lapack_signs(weight, svd)) return svd;
    }
  }
  return exact_svd(weight, rank);
}

}  // namespace

void clamp_to_quantile(at::Tensor& up, at::Tensor& down, double q) {
  if (q >= 1) return;
  const double limit = joint_quantile(up, down, q);
  up = at::clamp(up, -limit, limit);
  down = at::clamp(down, -limit, limit);
}

std::vector<NamedTensor> svd_merge(const std::vector<MergeInput>& inputs, const SvdMergeRules& rules) {
  std::vector<Sum> sums;
  std::unordered_map<std::string, size_t> index;
  for (const MergeInput& input : inputs) {
    for (const AdapterModule& module : input.file->modules()) {
      const std::string name = sd_scripts_module_name(module.name);
      const auto [place, is_new] = index.try_emplace(name, sums.size());
      if (is_new) sums.emplace_back().name = name;
      add_module(input, module, rules.merge, sums[place->second]);
    }
  }

  std::vector<NamedTensor> tensors(sums.size() * 3);
  Progress progress("merging", static_cast<int64_t>(sums.size()), "modules");
  const auto order = largest_first(
      sums.size(), [&](size_t i) { return sums[i].changes[0].up.size(0) * sums[i].changes[0].down.size(1); });
  parallel_for(sums.size(), [&](size_t k) {
    const size_t i = order[k];
    const Sum& sum = sums[i];
    const int64_t num_rows = sum.changes[0].up.size(0);
    const int64_t wanted = sum.has_kernel() ? rules.conv_rank : rules.rank;
    const int64_t rank = std::min({wanted, sum.down_shape[1], num_rows});
    const TruncatedSvd svd = svd_with_lapack_signs(sum, rank, rules.exact);
    at::Tensor new_up = svd.u * svd.s, new_down = svd.vh;
    clamp_to_quantile(new_up, new_down, kClampQuantile);
    std::vector<int64_t> down_shape = sum.down_shape, up_shape = {num_rows, rank};
    down_shape[0] = rank;
    if (sum.is_conv()) up_shape.insert(up_shape.end(), {1, 1});
    tensors[3 * i] = {sum.name + ".lora_up.weight", new_up.reshape(up_shape).to(rules.save_dtype).contiguous()};
    tensors[3 * i + 1] = {sum.name + ".lora_down.weight",
                          new_down.reshape(down_shape).to(rules.save_dtype).contiguous()};
    tensors[3 * i + 2] = {sum.name + ".alpha", at::scalar_tensor(rank, at::kLong)};
    progress.advance();
  });
  return tensors;
}

}  // namespace difftune
