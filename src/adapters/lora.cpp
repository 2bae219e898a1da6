#include "adapters/lora.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/norm.h>
#include <ATen/ops/scalar_tensor.h>

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <regex>
#include <set>

#include "adapters/lora_file.h"
#include "adapters/lora_module.h"
#include "base/error.h"
#include "base/log.h"

namespace difftune {
namespace {

constexpr std::string_view kDown = ".lora_down.weight", kUp = ".lora_up.weight", kAlpha = ".alpha";

// The first pattern that is found in `name`.
template <typename T>
std::optional<size_t> first_match(const std::vector<std::pair<std::string, T>>& patterns, const std::string& name) {
  for (size_t i = 0; i < patterns.size(); ++i) {
    try {
      if (std::regex_search(name, std::regex(patterns[i].first))) return i;
    } catch (const std::regex_error& error) {
      throw UsageError(
          fmt::format("--network_args: '{}' is not a regular expression: {}", patterns[i].first, error.what()));
    }
  }
  return std::nullopt;
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

// up·down as a weight of the layer's shape.
at::Tensor product(const at::Tensor& up, const at::Tensor& down, at::IntArrayRef weight_shape) {
  return at::mm(up.flatten(1), down.flatten(1)).reshape(weight_shape);
}

// Rank and alpha of the module on `target`; 0 for none.
std::pair<int64_t, double> rank_of(const LoraConfig& config, const AdapterTarget& target) {
  if (config.dims_by_module) {
    const auto found = config.dims_by_module->find(target.name);
    return found == config.dims_by_module->end() ? std::pair<int64_t, double>(0, 0) : found->second;
  }
  const auto by_kind = config.rank_by_kind.find(target.kind);
  const bool has_kind = by_kind != config.rank_by_kind.end();
  if (!target.is_default && !has_kind) return {0, 0};
  if (config.groups && !target.group.empty() &&
      std::find(config.groups->begin(), config.groups->end(), target.group) == config.groups->end()) {
    return {0, 0};
  }
  if (const auto match = first_match(config.rank_by_pattern, target.name)) {
    return {config.rank_by_pattern[*match].second, config.alpha};
  }
  if (is_large_conv(*target.layer) && (config.conv_rank || !has_kind)) {
    return {config.conv_rank.value_or(0), config.conv_alpha};
  }
  if (target.is_convolutional_block && !config.conv_rank && !config.enters_convolutional_blocks) return {0, 0};
  const auto blocks = config.blocks_by_group.find(target.group);
  if (blocks != config.blocks_by_group.end() &&
      std::none_of(blocks->second.begin(), blocks->second.end(),
                   [&](const auto& range) { return range.first <= target.block && target.block <= range.second; })) {
    return {0, 0};
  }
  const auto other = config.other_rank_by_kind.find(target.kind);
  const bool is_replaced = has_kind && other != config.other_rank_by_kind.end();
  return {is_replaced ? other->second : has_kind ? by_kind->second : config.rank, config.alpha};
}

}  // namespace

std::vector<int> adapted_text_encoders(const LoraConfig& config, const std::vector<AdapterTarget>& targets) {
  std::set<int> numbers;
  for (const auto& target : targets) {
    if (target.component > 0 && config.train_text_encoders && rank_of(config, target).first > 0) {
      numbers.insert(target.component);
    }
  }
  return {numbers.begin(), numbers.end()};
}

LoraNetwork::LoraNetwork(const LoraConfig& config, const std::vector<AdapterTarget>& targets, at::Generator generator,
                         c10::Device device, c10::ScalarType dtype)
    : config_(config) {
  if (config_.ggpo_sigma.has_value() != config_.ggpo_beta.has_value()) {
    throw UsageError("--network_args: ggpo_sigma and ggpo_beta go together; one of them is missing");
  }
  // Where groups of blocks are picked, they come in the order in which they are named.
  std::vector<AdapterTarget> ordered(targets);
  if (config_.groups) {
    std::stable_sort(ordered.begin(), ordered.end(), [this](const auto& a, const auto& b) {
      const auto place = [this](const AdapterTarget& target) {
        return std::find(config_.groups->begin(), config_.groups->end(), target.group);
      };
      return place(a) < place(b);
    });
  }
  // Text encoders come before the denoiser, whatever order the family lists them in.
  for (const bool denoiser : {false, true}) {
    for (const auto& target : ordered) {
      if ((target.component == 0) != denoiser) continue;
      const auto [rank, alpha] = rank_of(config_, target);
      if (config_.is_verbose) log::info("{}: rank {}", target.name, rank);
      if (rank <= 0) continue;
      auto module = std::make_unique<LoraModule>(target, config_, rank, alpha, generator);
      const bool is_trained = denoiser ? config_.train_denoiser : config_.train_text_encoders;
      if (is_trained) modules_.push_back(std::move(module));
    }
  }
  if (modules_.empty()) fail("--network_module: no layer of the model takes a LoRA with these settings");
  for (auto& module : modules_) module->attach(device, dtype);
}

LoraNetwork::~LoraNetwork() {
  for (auto& module : modules_) module->detach();
}

std::vector<AdapterParameterGroup> LoraNetwork::parameter_groups(const AdapterLearningRates& rates) const {
  struct Part {
    std::string name;
    std::vector<int> components;
    double rate;
    std::optional<double> plus;
  };
  const auto either = [](std::optional<double> a, std::optional<double> b) { return a ? a : b; };
  std::vector<Part> parts;
  for (size_t i = 0; i < rates.text_groups.size(); ++i) {
    const auto& own = rates.text_encoders;
    parts.push_back({rates.text_groups[i].name, rates.text_groups[i].components,
                     own.empty() ? rates.base : own[std::min(i, own.size() - 1)],
                     either(config_.text_encoder_plus_ratio, config_.plus_ratio)});
  }
  parts.push_back(
      {"unet", {0}, rates.denoiser.value_or(rates.base), either(config_.denoiser_plus_ratio, config_.plus_ratio)});

  std::vector<AdapterParameterGroup> groups;
  for (const auto& part : parts) {
    // By pattern first, in the order of their numbers as text, then the others.
    std::map<std::string, std::pair<AdapterParameterGroup, AdapterParameterGroup>> made;
    for (const auto& module : modules_) {
      const auto& components = part.components;
      if (std::find(components.begin(), components.end(), module->target().component) == components.end()) continue;
      const auto match = first_match(config_.rate_by_pattern, module->name());
      const std::string suffix = match ? fmt::format(" reg_lr_{}", *match) : "";
      const double rate = match ? config_.rate_by_pattern[*match].second : part.rate;
      auto [entry, is_new] = made.try_emplace(match ? suffix : "~");
      if (is_new) {
        entry->second.first = {part.name + suffix, {}, rate};
        entry->second.second = {part.name + suffix + " plus", {}, rate * part.plus.value_or(1)};
      }
      entry->second.first.parameters.push_back(module->down());
      (part.plus ? entry->second.second : entry->second.first).parameters.push_back(module->up());
    }
    for (auto& [key, pair] : made) {
      for (auto* group : {&pair.first, &pair.second}) {
        if (!group->parameters.empty() && group->learning_rate != 0) groups.push_back(std::move(*group));
      }
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
    const double alpha = module->alpha_in_file();
    const bool is_whole = alpha == std::floor(alpha);
    const bool keeps_integer = config_.alpha_is_integer && is_whole && !is_large_conv(*module->target().layer);
    result.emplace_back(module->name() + std::string(kAlpha),
                        at::scalar_tensor(alpha, keeps_integer ? at::kLong : at::kFloat));
    result.emplace_back(module->name() + std::string(kDown), module->down().detach());
    result.emplace_back(module->name() + std::string(kUp), module->full_up().detach());
  }
  return result;
}

void LoraNetwork::load(const TensorSource& source) {
  const at::NoGradGuard no_grad;
  int64_t num_loaded = 0;
  for (const auto& module : modules_) {
    for (const bool is_up : {false, true}) {
      const std::string key = module->name() + std::string(is_up ? kUp : kDown);
      if (!source.contains(key)) continue;
      at::Tensor& parameter = is_up ? module->up() : module->down();
      const at::Tensor stored = source.tensor(key);
      const at::Tensor value = is_up ? module->parts_of(stored) : stored;
      if (value.sizes() != parameter.sizes()) {
        fail("{}: {} has shape {}, expected {} (another rank: --dim_from_weights takes the file's)",
             source.path().string(), key, fmt::join(value.sizes(), "x"), fmt::join(parameter.sizes(), "x"));
      }
      parameter.copy_(value);
      ++num_loaded;
    }
  }
  if (num_loaded == 0) {
    fail("{}: none of its {} keys belongs to a LoRA of this model", source.path().string(), source.keys().size());
  }
  for (auto& module : modules_) {
    if (const auto alpha = read_alpha(source, module->name())) module->set_alpha_of_file(*alpha);
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
    const at::Tensor change = at::mm(module->full_up().flatten(1), module->down().flatten(1)) * scale;
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
    const at::Tensor up = module->full_up().flatten(1).to(at::kFloat), down = module->down().flatten(1).to(at::kFloat);
    const double square = (at::mm(up.t(), up) * at::mm(down, down.t())).sum().item<double>();
    result.emplace_back(module->name(), scale * std::sqrt(std::max(square, 0.0)));
  }
  return result;
}

LoraNetwork::GradientNorms LoraNetwork::observe_gradients() {
  const at::NoGradGuard no_grad;
  GradientNorms sum;
  double change = 0, weight = 0;
  int64_t count = 0;
  for (auto& module : modules_) {
    const auto norms = module->observe_gradient();
    if (!norms) continue;
    ++count;
    sum.gradient += norms->gradient;
    change += norms->change.value_or(0);
    weight += norms->weight.value_or(0);
  }
  if (count == 0) return {};
  const auto n = static_cast<double>(count);
  GradientNorms mean{sum.gradient / n, {}, {}};
  if (is_perturbed()) {
    mean.change = change / n;
    mean.weight = weight / n;
  }
  return mean;
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
  if (!dims.empty()) return dims;
  const auto keys = file.keys();
  if (std::any_of(keys.begin(), keys.end(), [](const auto& key) { return key.find(".oft_blocks") != key.npos; })) {
    fail("{}: holds OFT, which only the tools that merge into a checkpoint take", file.path().string());
  }
  fail("{}: holds no LoRA (no key ends in {})", file.path().string(), kDown);
}

void draw_unused_initial_values(const TensorSource& file, const std::vector<AdapterTarget>& targets,
                                const at::Generator& generator) {
  const LoraConfig config;
  const auto dims = lora_dims(file);
  for (const bool denoiser : {false, true}) {
    for (const auto& target : targets) {
      const auto found = dims.find(target.name);
      if ((target.component == 0) != denoiser || found == dims.end()) continue;
      const LoraModule unused(target, config, found->second.first, found->second.second, generator);
    }
  }
}

int64_t merge_lora_into(const TensorSource& file, const std::vector<AdapterTarget>& targets, double multiplier) {
  const at::NoGradGuard no_grad;
  const auto dims = lora_dims(file);
  int64_t num_merged = 0;
  for (const auto& target : targets) {
    const auto found = dims.find(target.name);
    if (found == dims.end() || !target.layer->is_loaded()) continue;
    const LoraFactors factors = read_lora_factors(file, target, found->second);
    at::Tensor& weight = target.layer->weight;
    const at::Tensor change = product(factors.up, factors.down, weight.sizes()) * (multiplier * factors.scale);
    // A new tensor: the present one may view a mapped file.
    weight = (weight.to(at::kFloat) + change.to(weight.device())).to(target.layer->dtype());
    ++num_merged;
  }
  if (num_merged == 0) fail("{}: none of its {} modules belongs to this model", file.path().string(), dims.size());
  return num_merged;
}

}  // namespace difftune
