#include "weight_tools/extract_lora.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/scalar_tensor.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "families/lora_targets.h"
#include "weight_tools/leading_svd.h"
#include "weight_tools/svd_merge.h"

namespace difftune {
namespace {

// A difference takes a few times its layer's memory; more threads than this would need much.
constexpr size_t kMaxThreads = 8;

bool is_text_encoder(const LoraTarget& target) { return target.module.starts_with("lora_te"); }

bool has_part(const std::string& name, std::initializer_list<std::string_view> parts) {
  return std::any_of(parts.begin(), parts.end(), [&](auto part) { return name.find(part) != name.npos; });
}

// The modules of sd-scripts' networks.lora: attention and MLP layers; with a rank for convolutions residual blocks and
// samplers too.
bool is_sd_lora_module(const LoraTarget& target, const ExtractRules& rules, bool is_conv) {
  if (is_text_encoder(target)) return has_part(target.module, {"_self_attn_", "_mlp_"});
  if (has_part(target.module, {"_transformer_blocks_", "_proj_in", "_proj_out"})) return true;
  if (!rules.conv_rank) return false;
  return has_part(target.module, {"_resnets_", "_downsamplers_", "_upsamplers_",  // Diffusers' names
                                  "_in_layers_", "_emb_layers_", "_out_layers_", "_skip_connection"}) ||
         (is_conv && (target.module.ends_with("_op") || target.module.ends_with("_conv")));
}

// As flux_extract_lora: every matrix of the blocks, but norms.
bool is_dit_module(const LoraTarget& target) {
  return has_part(target.module, {"single_block", "double_block"}) && !has_part(target.module, {"norm"});
}

class Extraction {
 public:
  Extraction(const TensorSource& original, const TensorSource& tuned, const ExtractRules& rules)
      : original_(original), tuned_(tuned), rules_(rules), targets_(original) {
    for (const LoraTarget& target : targets_.all()) {
      const auto shape = original_.info(target.key).shape;
      const bool is_conv = shape.size() == 4;
      const bool is_wanted = rules_.modules == ExtractRules::Modules::dit_blocks
                                 ? is_dit_module(target)
                                 : is_sd_lora_module(target, rules_, is_conv);
      if (is_wanted) {
        check_same(target, shape);
        wanted_.push_back(&target);
      }
    }
    if (wanted_.empty()) fail("{}: has no layer that a LoRA is made of", original_.path().string());
  }

  size_t num_modules() const { return wanted_.size(); }

  ExtractedLora run() {
    ExtractedLora result;
    result.largest_text_diff = largest_text_diff();
    result.has_text_encoders = result.largest_text_diff > rules_.min_diff;
    if (rules_.modules == ExtractRules::Modules::sd_lora && !result.has_text_encoders) {
      std::erase_if(wanted_, [](const LoraTarget* target) { return is_text_encoder(*target); });
    }
    result.num_modules = wanted_.size();
    result.tensors.resize(3 * wanted_.size());
    const auto order = largest_first(wanted_.size(), [&](size_t i) { return num_values(*wanted_[i]); });
    Progress progress("extracting", static_cast<int64_t>(wanted_.size()), "layers");
    std::mutex mutex;
    const size_t threads = std::min<size_t>(kMaxThreads, std::max(1u, std::thread::hardware_concurrency()));
    parallel_for(
        order.size(),
        [&](size_t i) {
          const LeadingSvd found = extract(order[i], result);
          const std::lock_guard lock(mutex);
          result.num_exact += found.is_exact;
          differs_ |= found.differs;
          result.worst_excess = std::max(result.worst_excess, found.excess);
          if (found.residual >= result.worst_residual) {
            result.worst_residual = found.residual;
            result.worst_module = wanted_[order[i]]->module;
          }
          progress.advance();
        },
        threads);
    if (!differs_) {
      fail("{} and {}: no layer differs, so there is nothing to extract", original_.path().string(),
           tuned_.path().string());
    }
    return result;
  }

 private:
  void check_same(const LoraTarget& target, const std::vector<int64_t>& shape) const {
    if (!tuned_.contains(target.key)) {
      fail("{}: has no tensor '{}', which {} has: the models are of different kinds", tuned_.path().string(),
           target.key, original_.path().string());
    }
    if (const auto other = tuned_.info(target.key).shape; other != shape) {
      fail("{}: {} is [{}] and [{}] in {}: the models are of different kinds", tuned_.path().string(), target.key,
           fmt::join(other, ", "), fmt::join(shape, ", "), original_.path().string());
    }
  }

  int64_t num_values(const LoraTarget& target) const {
    return original_.info(target.key).num_elements() / original_.info(target.key).shape[0] * target.num_rows;
  }

  at::Tensor rows_of(const TensorSource& source, const LoraTarget& target) const {
    const at::Tensor rows = source.tensor(target.key).narrow(0, target.first_row, target.num_rows);
    return rows.to(rules_.load_dtype.value_or(at::kFloat));
  }

  // In fp32, of the weight's shape.
  at::Tensor difference(const LoraTarget& target) const {
    at::Tensor result = (rows_of(tuned_, target) - rows_of(original_, target)).to(at::kFloat);
    original_.drop_pages(target.key);
    tuned_.drop_pages(target.key);
    return result;
  }

  double largest_text_diff() const {
    double largest = 0;
    for (const LoraTarget* target : wanted_) {
      if (!is_text_encoder(*target)) continue;
      largest = std::max(largest, difference(*target).abs().max().item<double>());
      if (largest > rules_.min_diff) break;
    }
    return largest;
  }

  LeadingSvd extract(size_t i, ExtractedLora& result) const {
    const LoraTarget& target = *wanted_[i];
    const at::Tensor diff = difference(target);
    if (!std::isfinite(diff.sum().item<float>())) {
      fail("{}: {} holds a NaN or an infinity (or {} does)", tuned_.path().string(), target.key,
           original_.path().string());
    }
    const auto shape = diff.sizes().vec();
    const bool is_conv = shape.size() == 4, has_kernel = is_conv && shape[2] * shape[3] > 1;
    const int64_t wanted = has_kernel && rules_.conv_rank ? *rules_.conv_rank : rules_.rank;
    const int64_t rank = std::min({wanted, shape[0], shape[1]});
    const at::Tensor matrix = diff.flatten(1);
    LeadingSvd found = leading_svd(matrix, rank, /*seed=*/i, rules_.exact);
    at::Tensor up = found.svd.u * found.svd.s, down = found.svd.vh;
    clamp_to_quantile(up, down, rules_.clamp_quantile);
    std::vector<int64_t> down_shape = shape, up_shape = {shape[0], rank};
    down_shape[0] = rank;
    if (is_conv) up_shape.insert(up_shape.end(), {1, 1});
    result.tensors[3 * i] = {target.module + ".lora_up.weight",
                             up.reshape(up_shape).to(rules_.save_dtype).contiguous()};
    result.tensors[3 * i + 1] = {target.module + ".lora_down.weight",
                                 down.reshape(down_shape).to(rules_.save_dtype).contiguous()};
    result.tensors[3 * i + 2] = {target.module + ".alpha",
                                 at::scalar_tensor(rank, rules_.alpha_dtype.value_or(at::kLong))};
    found.svd = {};
    return found;
  }

  const TensorSource &original_, &tuned_;
  const ExtractRules& rules_;
  LoraTargets targets_;
  std::vector<const LoraTarget*> wanted_;
  bool differs_ = false;
};

}  // namespace

ExtractedLora extract_lora(const TensorSource& original, const TensorSource& tuned, const ExtractRules& rules) {
  return Extraction(original, tuned, rules).run();
}

size_t count_extracted_modules(const TensorSource& original, const TensorSource& tuned, const ExtractRules& rules) {
  return Extraction(original, tuned, rules).num_modules();
}

}  // namespace difftune
