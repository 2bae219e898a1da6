#include "adapters/lora_module.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/dropout.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/randperm.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/sqrt.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <numeric>

#include "base/error.h"
#include "nn/frozen.h"

namespace difftune {
namespace {

// The default initial values of LibTorch's Linear and Conv2d: kaiming_uniform with a = sqrt(5), that is
// sqrt(3) × sqrt(2 / (1 + a²)) / sqrt(fan_in), in this order of operations.
at::Tensor draw_uniform_fan_in(at::IntArrayRef shape, int64_t fan_in, const at::Generator& generator) {
  const double a = std::sqrt(5.0);
  const double deviation = std::sqrt(2.0 / (1 + a * a)) / std::sqrt(static_cast<double>(fan_in));
  const double bound = std::sqrt(3.0) * deviation;
  return at::empty(shape, at::kFloat).uniform_(-bound, bound, generator);
}

int64_t kernel_of(const nn::Layer& layer) {
  return layer.kind() == nn::Layer::Kind::conv2d ? static_cast<const nn::Conv2d&>(layer).kernel() : 1;
}

// Squared norms of the rows of U V, [rows, 1], without forming it: the diagonal of U (V Vᵀ) Uᵀ.
at::Tensor squared_row_norms(const at::Tensor& u, const at::Tensor& v) {
  const at::Tensor wide_u = u.to(at::kFloat), wide_v = v.to(at::kFloat);
  const at::Tensor gram = at::mm(wide_v, wide_v.t());
  return at::relu((at::mm(wide_u, gram) * wide_u).sum(1, /*keepdim=*/true));
}

// Dropout whose mask is drawn in the order of the axes. at::dropout draws in the order of memory, and ours is
// channels-last where the reference's is not: the same draws would fall on other elements.
at::Tensor drop_neurons(const at::Tensor& x, double probability) {
  if (probability == 0 || !x.is_cpu()) return at::dropout(x, probability, true);
  const at::Tensor kept = at::empty(x.sizes(), x.options().requires_grad(false)).bernoulli_(1 - probability);
  return x * kept.div_(1 - probability);
}

// Rows whose norms stand for all of them.
constexpr int64_t kNumSampledRows = 1000;

}  // namespace

bool is_large_conv(const nn::Layer& layer) {
  return layer.kind() == nn::Layer::Kind::conv2d && static_cast<const nn::Conv2d&>(layer).kernel() > 1;
}

LoraModule::LoraModule(const AdapterTarget& target, const LoraConfig& config, int64_t rank, double alpha,
                       at::Generator generator)
    : target_(target), config_(config), rank_(rank), alpha_(alpha == 0 ? static_cast<double>(rank) : alpha) {
  const nn::Layer& layer = *target.layer;
  if (config.splits_qkv) part_sizes_ = target.part_sizes;
  std::vector<int64_t> down_shape = {rank, layer.in_features()};
  if (layer.kind() == nn::Layer::Kind::conv2d) down_shape.insert(down_shape.end(), 2, kernel_of(layer));
  const int64_t fan_in = layer.in_features() * kernel_of(layer) * kernel_of(layer);
  const auto draw_downs = [&] {
    std::vector<at::Tensor> downs;
    for (size_t i = 0; i < num_parts(); ++i) downs.push_back(draw_uniform_fan_in(down_shape, fan_in, generator));
    return at::cat(downs);
  };
  draw_downs();
  for (size_t i = 0; i < num_parts(); ++i) {
    draw_uniform_fan_in({part_sizes_.empty() ? layer.out_features() : part_sizes_[i], rank}, rank, generator);
  }
  down_ = draw_downs();
  std::vector<int64_t> up_shape = {layer.out_features(), rank};
  if (layer.kind() == nn::Layer::Kind::conv2d) up_shape.insert(up_shape.end(), 2, 1);
  up_ = at::zeros(up_shape, at::kFloat);
  if (config.ggpo_sigma && config.ggpo_beta) estimate_weight_norm(generator);
}

void LoraModule::estimate_weight_norm(const at::Generator& generator) {
  const at::NoGradGuard no_grad;
  const at::Tensor& weight = target_.layer->weight;
  const at::Tensor order = at::randperm(weight.size(0), generator, at::TensorOptions(at::kLong));
  // A text encoder that is gone takes part in the draws only.
  if (!target_.layer->is_loaded()) return;
  const at::Tensor chosen = order.slice(0, 0, kNumSampledRows).to(weight.device());
  const at::Tensor rows = at::index_select(weight, 0, chosen).to(at::kFloat).flatten(1);
  weight_norm_ = at::linalg_vector_norm(rows, 2, 1).mean().item<float>();
}

void LoraModule::attach(c10::Device device, c10::ScalarType dtype) {
  down_ = down_.to(device, dtype).requires_grad_(true);
  up_ = up_.to(device, dtype).requires_grad_(true);
  target_.layer->set_adapter(this);
}

void LoraModule::detach() {
  if (target_.layer->adapter() == this) target_.layer->set_adapter(nullptr);
}

at::Tensor LoraModule::on_diagonal(const at::Tensor& up) const {
  if (part_sizes_.empty()) return up;
  std::vector<at::Tensor> rows;
  const auto parts = up.split_with_sizes(part_sizes_);
  for (size_t i = 0; i < parts.size(); ++i) {
    const int64_t before = static_cast<int64_t>(i) * rank_;
    const int64_t after = static_cast<int64_t>(parts.size() - 1 - i) * rank_;
    rows.push_back(at::constant_pad_nd(parts[i], {before, after}));
  }
  return at::cat(rows);
}

at::Tensor LoraModule::parts_of(const at::Tensor& up) const {
  if (part_sizes_.empty() || up.dim() != 2 || up.size(0) != up_.size(0) ||
      up.size(1) != rank_ * static_cast<int64_t>(num_parts())) {
    return up;
  }
  std::vector<at::Tensor> rows;
  const auto parts = up.split_with_sizes(part_sizes_);
  for (size_t i = 0; i < parts.size(); ++i) {
    const int64_t first = static_cast<int64_t>(i) * rank_;
    rows.push_back(parts[i].slice(1, first, first + rank_));
  }
  return at::cat(rows);
}

at::Tensor LoraModule::forward(const nn::Layer& layer, const at::Tensor& input) {
  const bool has_dropout = is_training && (config_.dropout || config_.rank_dropout || config_.module_dropout);
  if (is_training && config_.module_dropout && at::rand({1}).item<float>() < *config_.module_dropout) {
    return layer.base_forward(input);
  }
  const at::Tensor output =
      has_dropout || is_large_conv(layer) ? dropped_forward(layer, input) : fused_forward(layer, input);
  return is_training && grad_norms_.defined() && changed_norms_.defined() ? output + perturbation(input) : output;
}

// Linear, and a 1x1 convolution as a linear map of channels-last pixels.
at::Tensor LoraModule::fused_forward(const nn::Layer& layer, const at::Tensor& input) const {
  const at::Tensor down = down_.flatten(1), up = full_up().flatten(1), weight = layer.weight.flatten(1);
  if (layer.kind() == nn::Layer::Kind::linear) {
    return nn::frozen_linear_low_rank(input, weight, layer.bias, down, up, scale());
  }
  const at::Tensor pixels = input.permute({0, 2, 3, 1});
  return nn::frozen_linear_low_rank(pixels, weight, layer.bias, down, up, scale()).permute({0, 3, 1, 2});
}

at::Tensor LoraModule::dropped_forward(const nn::Layer& layer, const at::Tensor& input) const {
  const at::Tensor base = layer.base_forward(input);
  at::Tensor hidden = apply_down(layer, input);
  double strength = scale();
  if (is_training) {
    if (num_parts() == 1) {
      hidden = drop(hidden);
    } else {
      std::vector<at::Tensor> parts;
      for (const auto& part : hidden.split(rank_, -1)) parts.push_back(drop(part));
      hidden = at::cat(parts, -1);
    }
    if (config_.rank_dropout) strength /= 1 - *config_.rank_dropout;
  }
  const at::Tensor up = full_up().to(input.scalar_type());
  return base + (hidden.dim() == 4 ? at::conv2d(hidden, up) : at::linear(hidden, up)) * strength;
}

at::Tensor LoraModule::apply_down(const nn::Layer& layer, const at::Tensor& input) const {
  const at::Tensor down = down_.to(input.scalar_type());
  if (layer.kind() == nn::Layer::Kind::linear) return at::linear(input, down);
  const auto& conv = static_cast<const nn::Conv2d&>(layer);
  return at::conv2d(input, down, {}, conv.stride(), conv.padding());
}

// Neurons, then ranks of each sample.
at::Tensor LoraModule::drop(at::Tensor hidden) const {
  if (config_.dropout) hidden = drop_neurons(hidden, *config_.dropout);
  if (!config_.rank_dropout) return hidden;
  const auto options = hidden.options().dtype(at::kFloat);
  at::Tensor mask = at::rand({hidden.size(0), rank_}, options).gt(*config_.rank_dropout).to(hidden.dtype());
  if (hidden.dim() == 3) mask = mask.unsqueeze(1);
  if (hidden.dim() == 4) mask = mask.unsqueeze(-1).unsqueeze(-1);
  return hidden * mask;
}

// The input times a random change of the weight, whose rows are as large as sigma |w| + beta |g|^2 says. No gradient
// passes through it, as in the reference: what comes before the layer is trained with the weight as it is.
at::Tensor LoraModule::perturbation(const at::Tensor& input) const {
  const at::NoGradGuard no_grad;
  const at::Tensor size = changed_norms_ * *config_.ggpo_sigma + grad_norms_.pow(2) * *config_.ggpo_beta;
  const at::Tensor factor = size * (1 / std::sqrt(static_cast<double>(target_.layer->out_features())));
  at::Tensor change = at::randn(target_.layer->weight.sizes(), down_.options().requires_grad(false));
  change.mul_(factor.view({-1, 1}).expand({change.size(0), change.flatten(1).size(1)}).view_as(change));
  change = change.to(input.scalar_type());
  if (target_.layer->kind() == nn::Layer::Kind::linear) return at::linear(input, change);
  const auto& conv = static_cast<const nn::Conv2d&>(*target_.layer);
  return at::conv2d(input, change, {}, conv.stride(), conv.padding());
}

std::optional<LoraModule::Norms> LoraModule::observe_gradient() {
  if (!down_.grad().defined() || !up_.grad().defined()) return std::nullopt;
  const at::Tensor down = down_.flatten(1), up = full_up().flatten(1);
  const at::Tensor grad_down = down_.grad().flatten(1), grad_up = on_diagonal(up_.grad()).flatten(1);
  const double strength = alpha_ / static_cast<double>(rank_);
  const bool is_perturbed = config_.ggpo_sigma && config_.ggpo_beta;
  if (is_perturbed && config_.reference_quirks) {
    // Under autocast, whatever the precision of the run.
    const auto narrow = down.is_cpu() ? at::kBFloat16 : at::kHalf;
    const auto times = [&](const at::Tensor& a, const at::Tensor& b) { return at::mm(a.to(narrow), b.to(narrow)); };
    grad_norms_ = at::linalg_vector_norm((times(up, grad_down) + times(grad_up, down)) * strength, 2, 1, true);
  } else {
    grad_norms_ = at::sqrt(squared_row_norms(at::cat({up, grad_up}, 1), at::cat({grad_down, down}))) * strength;
  }
  Norms norms{grad_norms_.mean().item<double>(), {}, {}};
  if (!is_perturbed) {
    grad_norms_ = at::Tensor();
    return norms;
  }
  const at::Tensor change = squared_row_norms(up, down);
  changed_norms_ = at::sqrt(change + weight_norm_ * weight_norm_);
  norms.change = at::sqrt(change).mean().item<double>();
  norms.weight = changed_norms_.mean().item<double>();
  return norms;
}

}  // namespace difftune
