#include "adapters/lora.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/dropout.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/norm.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <tuple>

#include "base/error.h"
#include "base/log.h"
#include "nn/frozen.h"

namespace difftune {
namespace {

constexpr std::string_view kDown = ".lora_down.weight", kUp = ".lora_up.weight", kAlpha = ".alpha";

// The default initial values of LibTorch's Linear and Conv2d: kaiming_uniform with a = sqrt(5), that is
// sqrt(3) × sqrt(2 / (1 + a²)) / sqrt(fan_in), in this order of operations.
at::Tensor draw_uniform_fan_in(at::IntArrayRef shape, int64_t fan_in, const at::Generator& generator) {
  const double a = std::sqrt(5.0);
  const double deviation = std::sqrt(2.0 / (1 + a * a)) / std::sqrt(static_cast<double>(fan_in));
  const double bound = std::sqrt(3.0) * deviation;
  return at::empty(shape, at::kFloat).uniform_(-bound, bound, generator);
}

bool is_large_conv(const nn::Layer& layer) {
  return layer.kind() == nn::Layer::Kind::conv2d && static_cast<const nn::Conv2d&>(layer).kernel() > 1;
}

int64_t kernel_of(const nn::Layer& layer) {
  return layer.kind() == nn::Layer::Kind::conv2d ? static_cast<const nn::Conv2d&>(layer).kernel() : 1;
}

// Down and up of a new module. Down is drawn twice, with up between: the reference initialises it once more.
std::pair<at::Tensor, at::Tensor> draw_initial_factors(const nn::Layer& layer, int64_t rank,
                                                       const at::Generator& generator) {
  std::vector<int64_t> down_shape = {rank, layer.in_features()}, up_shape = {layer.out_features(), rank};
  if (layer.kind() == nn::Layer::Kind::conv2d) {
    const int64_t kernel = kernel_of(layer);
    down_shape.insert(down_shape.end(), {kernel, kernel});
    up_shape.insert(up_shape.end(), {1, 1});
  }
  const int64_t fan_in = layer.in_features() * kernel_of(layer) * kernel_of(layer);
  draw_uniform_fan_in(down_shape, fan_in, generator);
  draw_uniform_fan_in(up_shape, rank, generator);
  return {draw_uniform_fan_in(down_shape, fan_in, generator), at::zeros(up_shape, at::kFloat)};
}

// The alpha of a module in a LoRA file, or nullopt where it has none.
std::optional<double> read_alpha(const TensorSource& file, const std::string& module) {
  const std::string key = module + std::string(kAlpha);
  if (!file.contains(key)) return std::nullopt;
  const at::Tensor alpha = file.tensor(key);
  if (alpha.numel() != 1) {
    fail("{}: {} has {} values, expected one number", file.path().string(), key, alpha.numel());
  }
  return alpha.item<double>();
}

// Dropout whose mask is drawn in the order of the axes. at::dropout draws in the order of memory, and ours is
// channels-last where the reference's is not: the same draws would fall on other elements.
at::Tensor drop(const at::Tensor& x, double probability) {
  if (probability == 0 || !x.is_cpu()) return at::dropout(x, probability, true);
  const at::Tensor kept = at::empty(x.sizes(), x.options()).bernoulli_(1 - probability);
  return x * kept.div_(1 - probability);
}

// up·down as a weight of the layer's shape.
at::Tensor product(const at::Tensor& up, const at::Tensor& down, at::IntArrayRef weight_shape) {
  return at::mm(up.flatten(1), down.flatten(1)).reshape(weight_shape);
}

}  // namespace

class LoraNetwork::Module : public nn::LayerAdapter {
 public:
  Module(const AdapterTarget& target, const LoraConfig& config, int64_t rank, double alpha, at::Generator generator)
      : target_(target), config_(config), rank_(rank), alpha_(alpha == 0 ? static_cast<double>(rank) : alpha) {
    std::tie(down_, up_) = draw_initial_factors(*target.layer, rank, generator);
  }

  void attach(c10::Device device, c10::ScalarType dtype) {
    down_ = down_.to(device, dtype).requires_grad_(true);
    up_ = up_.to(device, dtype).requires_grad_(true);
    target_.layer->set_adapter(this);
  }
  void detach() {
    if (target_.layer->adapter() == this) target_.layer->set_adapter(nullptr);
  }

  at::Tensor forward(const nn::Layer& layer, const at::Tensor& input) override {
    const bool has_dropout = is_training && (config_.dropout || config_.rank_dropout || config_.module_dropout);
    if (!has_dropout && !is_large_conv(layer)) return fused_forward(layer, input);
    const at::Tensor base = layer.base_forward(input);
    if (is_training && config_.module_dropout && at::rand({1}).item<float>() < *config_.module_dropout) return base;
    double strength = scale();
    at::Tensor hidden = apply_down(layer, input);
    if (is_training && config_.dropout) hidden = drop(hidden, *config_.dropout);
    if (is_training && config_.rank_dropout) {
      hidden = hidden * rank_mask(hidden);
      strength /= 1 - *config_.rank_dropout;
    }
    const at::Tensor up = up_.to(input.scalar_type());
    return base + (hidden.dim() == 4 ? at::conv2d(hidden, up) : at::linear(hidden, up)) * strength;
  }

  const AdapterTarget& target() const { return target_; }
  const std::string& name() const { return target_.name; }
  double scale() const { return multiplier * alpha_ / static_cast<double>(rank_); }
  double alpha() const { return alpha_; }
  int64_t rank() const { return rank_; }
  at::Tensor& down() { return down_; }
  at::Tensor& up() { return up_; }
  void set_alpha(double alpha) { alpha_ = alpha; }

  bool is_training = true;
  double multiplier = 1;

 private:
  // Linear, and a 1x1 convolution as a linear map of channels-last pixels.
  at::Tensor fused_forward(const nn::Layer& layer, const at::Tensor& input) const {
    const at::Tensor down = down_.flatten(1), up = up_.flatten(1), weight = layer.weight.flatten(1);
    if (layer.kind() == nn::Layer::Kind::linear) {
      return nn::frozen_linear_low_rank(input, weight, layer.bias, down, up, scale());
    }
    const at::Tensor pixels = input.permute({0, 2, 3, 1});
    return nn::frozen_linear_low_rank(pixels, weight, layer.bias, down, up, scale()).permute({0, 3, 1, 2});
  }

  at::Tensor apply_down(const nn::Layer& layer, const at::Tensor& input) const {
    const at::Tensor down = down_.to(input.scalar_type());
    if (layer.kind() == nn::Layer::Kind::linear) return at::linear(input, down);
    const auto& conv = static_cast<const nn::Conv2d&>(layer);
    return at::conv2d(input, down, {}, conv.stride(), conv.padding());
  }

  // 0 or 1 for each sample and rank, in the shape that multiplies `hidden`.
  at::Tensor rank_mask(const at::Tensor& hidden) const {
    const auto options = hidden.options().dtype(at::kFloat);
    const at::Tensor mask = at::rand({hidden.size(0), rank_}, options).gt(*config_.rank_dropout).to(hidden.dtype());
    if (hidden.dim() == 3) return mask.unsqueeze(1);
    if (hidden.dim() == 4) return mask.unsqueeze(-1).unsqueeze(-1);
    return mask;
  }

  AdapterTarget target_;
  const LoraConfig& config_;
  int64_t rank_;
  double alpha_;
  at::Tensor down_, up_;
};

LoraNetwork::LoraNetwork(const LoraConfig& config, const std::vector<AdapterTarget>& targets, at::Generator generator,
                         c10::Device device, c10::ScalarType dtype)
    : config_(config) {
  // Text encoders come before the denoiser, whatever order the family lists them in.
  for (const bool denoiser : {false, true}) {
    for (const auto& target : targets) {
      if ((target.component == 0) != denoiser) continue;
      const bool large = is_large_conv(*target.layer);
      int64_t rank = large ? config_.conv_rank.value_or(0) : config_.rank;
      double alpha = large ? config_.conv_alpha : config_.alpha;
      if (config_.dims_by_module) {
        const auto found = config_.dims_by_module->find(target.name);
        rank = found == config_.dims_by_module->end() ? 0 : found->second.first;
        alpha = rank > 0 ? found->second.second : 0;
      } else if (target.is_convolutional_block && !config_.conv_rank && !config_.enters_convolutional_blocks) {
        continue;
      }
      if (rank <= 0) continue;
      auto module = std::make_unique<Module>(target, config_, rank, alpha, generator);
      const bool is_trained = denoiser ? config_.train_denoiser : config_.train_text_encoders;
      if (is_trained) modules_.push_back(std::move(module));
    }
  }
  if (modules_.empty()) fail("--network_module networks.lora: no layer of the model takes a LoRA with these settings");
  for (auto& module : modules_) module->attach(device, dtype);
}

LoraNetwork::~LoraNetwork() {
  for (auto& module : modules_) module->detach();
}

std::vector<AdapterParameterGroup> LoraNetwork::parameter_groups(const AdapterLearningRates& rates) const {
  const auto rate_of = [](std::optional<double> own, double base) { return own.value_or(base); };
  const std::optional<double> text_rate =
      rates.text_encoders.empty() ? std::nullopt : std::optional(rates.text_encoders.front());
  struct Part {
    bool is_denoiser;
    std::string name;
    double rate;
    std::optional<double> plus;
  };
  const auto either = [](std::optional<double> a, std::optional<double> b) { return a ? a : b; };
  const Part parts[] = {
      {false, "textencoder", rate_of(text_rate, rates.base),
       either(config_.text_encoder_plus_ratio, config_.plus_ratio)},
      {true, "unet", rate_of(rates.denoiser, rates.base), either(config_.denoiser_plus_ratio, config_.plus_ratio)}};

  std::vector<AdapterParameterGroup> groups;
  for (const auto& part : parts) {
    AdapterParameterGroup group{part.name, {}, part.rate},
        plus{part.name + " plus", {}, part.rate * part.plus.value_or(1)};
    for (const auto& module : modules_) {
      if ((module->target().component == 0) != part.is_denoiser) continue;
      group.parameters.push_back(module->down());
      (part.plus ? plus : group).parameters.push_back(module->up());
    }
    for (auto* made : {&group, &plus}) {
      if (!made->parameters.empty() && made->learning_rate != 0) groups.push_back(std::move(*made));
    }
  }
  return groups;
}

std::vector<NamedTensor> LoraNetwork::parameters() const {
  std::vector<NamedTensor> result;
  for (const auto& module : modules_) {
    result.emplace_back(module->name() + std::string(kDown), module->down());
    result.emplace_back(module->name() + std::string(kUp), module->up());
  }
  return result;
}

std::vector<NamedTensor> LoraNetwork::state() const {
  std::vector<NamedTensor> result;
  for (const auto& module : modules_) {
    // A loaded alpha may be a fraction.
    const bool is_whole = module->alpha() == std::floor(module->alpha());
    const bool keeps_integer = config_.alpha_is_integer && is_whole && !is_large_conv(*module->target().layer);
    result.emplace_back(module->name() + std::string(kAlpha),
                        at::scalar_tensor(module->alpha(), keeps_integer ? at::kLong : at::kFloat));
    result.emplace_back(module->name() + std::string(kDown), module->down().detach());
    result.emplace_back(module->name() + std::string(kUp), module->up().detach());
  }
  return result;
}

void LoraNetwork::load(const TensorSource& source) {
  const at::NoGradGuard no_grad;
  int64_t num_loaded = 0;
  for (auto& [key, parameter] : parameters()) {
    if (!source.contains(key)) continue;
    const at::Tensor value = source.tensor(key);
    if (value.sizes() != parameter.sizes()) {
      fail("{}: {} has shape {}, expected {} (another rank: --dim_from_weights takes the file's)",
           source.path().string(), key, fmt::join(value.sizes(), "x"), fmt::join(parameter.sizes(), "x"));
    }
    parameter.copy_(value);
    ++num_loaded;
  }
  if (num_loaded == 0) {
    fail("{}: none of its {} keys belongs to a LoRA of this model", source.path().string(), source.keys().size());
  }
  for (auto& module : modules_) {
    if (const auto alpha = read_alpha(source, module->name())) module->set_alpha(*alpha);
  }
  const auto expected = static_cast<int64_t>(parameters().size());
  if (num_loaded < expected) {
    log::warning("{}: {} of {} LoRA weights are in the file; the others keep their initial values",
                 source.path().string(), num_loaded, expected);
  }
}

void LoraNetwork::set_training(bool is_training) {
  for (auto& module : modules_) module->is_training = is_training;
}

void LoraNetwork::set_multiplier(double multiplier) {
  for (auto& module : modules_) module->multiplier = multiplier;
}

int64_t LoraNetwork::num_modules(int component) const {
  int64_t count = 0;
  for (const auto& module : modules_) count += module->target().component == component;
  return count;
}

int64_t LoraNetwork::num_parameters() const {
  int64_t count = 0;
  for (const auto& [key, parameter] : parameters()) count += parameter.numel();
  return count;
}

LoraNetwork::WeightNorms LoraNetwork::limit_weight_norms(double max_norm) {
  const at::NoGradGuard no_grad;
  WeightNorms result;
  for (auto& module : modules_) {
    const double scale = module->alpha() / static_cast<double>(module->rank());
    const at::Tensor change = at::mm(module->up().flatten(1), module->down().flatten(1)) * scale;
    const double norm = at::norm(change).item<double>();
    const double ratio = norm > max_norm ? max_norm / norm : 1;
    if (ratio != 1) {
      ++result.num_scaled;
      module->up().mul_(std::sqrt(ratio));
      module->down().mul_(std::sqrt(ratio));
    }
    result.mean += norm * ratio / static_cast<double>(modules_.size());
    result.max = std::max(result.max, norm * ratio);
  }
  return result;
}

std::vector<std::pair<std::string, double>> LoraNetwork::change_norms() const {
  const at::NoGradGuard no_grad;
  std::vector<std::pair<std::string, double>> result;
  for (const auto& module : modules_) {
    const double scale = module->alpha() / static_cast<double>(module->rank());
    // |B A| = sqrt(tr(BᵀB AAᵀ)): no product of the layer's size is formed.
    const at::Tensor up = module->up().flatten(1).to(at::kFloat), down = module->down().flatten(1).to(at::kFloat);
    const double square = (at::mm(up.t(), up) * at::mm(down, down.t())).sum().item<double>();
    result.emplace_back(module->name(), scale * std::sqrt(std::max(square, 0.0)));
  }
  return result;
}

std::map<std::string, std::pair<int64_t, double>> lora_dims(const TensorSource& file) {
  std::map<std::string, std::pair<int64_t, double>> dims;
  for (const auto& key : file.keys()) {
    if (!key.ends_with(kDown)) continue;
    const std::string module = key.substr(0, key.size() - kDown.size());
    const TensorInfo info = file.info(key);
    if (info.shape.size() < 2 || info.num_elements() == 0) {
      fail("{}: {} is {}, expected [rank, in] or [rank, in, kernel, kernel]", file.path().string(), key,
           describe(info));
    }
    const int64_t rank = info.shape[0];
    dims[module] = {rank, read_alpha(file, module).value_or(static_cast<double>(rank))};
  }
  if (dims.empty()) fail("{}: holds no LoRA (no key ends in {})", file.path().string(), kDown);
  return dims;
}

void draw_unused_initial_values(const TensorSource& file, const std::vector<AdapterTarget>& targets,
                                const at::Generator& generator) {
  const auto dims = lora_dims(file);
  for (const bool denoiser : {false, true}) {
    for (const auto& target : targets) {
      const auto found = dims.find(target.name);
      if ((target.component == 0) != denoiser || found == dims.end() || found->second.first <= 0) continue;
      draw_initial_factors(*target.layer, found->second.first, generator);
    }
  }
}

int64_t merge_lora_into(const TensorSource& file, const std::vector<AdapterTarget>& targets, double multiplier) {
  const at::NoGradGuard no_grad;
  const auto dims = lora_dims(file);
  int64_t num_merged = 0;
  for (const auto& target : targets) {
    const auto found = dims.find(target.name);
    if (found == dims.end()) continue;
    const auto [rank, alpha] = found->second;
    const at::Tensor down = file.tensor(target.name + std::string(kDown)).to(at::kFloat);
    const at::Tensor up = file.tensor(target.name + std::string(kUp)).to(at::kFloat);
    at::Tensor& weight = target.layer->weight;
    if (up.numel() != weight.size(0) * rank || up.size(0) != weight.size(0) ||
        down.numel() * weight.size(0) != weight.numel() * rank) {
      fail("{}: {} has up {} and down {}, which do not fit the layer's weight {}", file.path().string(), target.name,
           fmt::join(up.sizes(), "x"), fmt::join(down.sizes(), "x"), fmt::join(weight.sizes(), "x"));
    }
    const at::Tensor change = product(up, down, weight.sizes()) * (multiplier * alpha / static_cast<double>(rank));
    // A new tensor: the present one may view a mapped file.
    weight = (weight.to(at::kFloat) + change.to(weight.device())).to(target.layer->dtype());
    ++num_merged;
  }
  if (num_merged == 0) fail("{}: none of its {} modules belongs to this model", file.path().string(), dims.size());
  return num_merged;
}

}  // namespace difftune
