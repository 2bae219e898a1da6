#include "train/adapter_task.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/isnan.h>
#include <ATen/ops/nan_to_num.h>

#include <fmt/ranges.h>

#include "base/error.h"
#include "base/log.h"

namespace difftune {

AdapterTask::AdapterTask(ModelFamily& family, LoraNetwork& network, const Objective& objective,
                         const AdapterTaskConfig& config)
    : family_(family), network_(network), objective_(objective), config_(config) {
  for (const auto& dropout : family.info().text_dropouts) {
    if (dropout.rate > 0) text_parameters_[dropout.encoder];
  }
  for (const auto& target : family.adapter_targets()) {
    const auto of_encoder = text_parameters_.find(target.component);
    if (of_encoder == text_parameters_.end()) continue;
    for (const auto& [key, parameter] : network.parameters()) {
      if (key.starts_with(target.name + ".")) of_encoder->second.push_back(parameter);
    }
  }
  if (config_.reference_quirks) return;
  // A part with rate 0 is not trained: without this its gradients would pile up and weigh in the clipping norm.
  std::vector<const void*> trained;
  for (const auto& group : parameter_groups()) {
    for (const auto& parameter : group.params) trained.push_back(parameter.unsafeGetTensorImpl());
  }
  std::sort(trained.begin(), trained.end());
  for (auto& [key, parameter] : network_.parameters()) {
    if (!std::binary_search(trained.begin(), trained.end(),
                            static_cast<const void*>(parameter.unsafeGetTensorImpl()))) {
      parameter.requires_grad_(false);
    }
  }
}

at::Tensor AdapterTask::latents_of(const Batch& batch) const {
  const at::NoGradGuard no_grad;
  const FamilyInfo& info = family_.info();
  const auto scaled = [&](const at::Tensor& latents) {
    return info.latent_shift == 0 ? latents * info.latent_scale : (latents - info.latent_shift) * info.latent_scale;
  };
  if (batch.latents.defined()) return scaled(batch.latents);
  // In the chunks and hence with the draws of the reference.
  std::vector<at::Tensor> encoded;
  for (const auto& chunk : batch.images.split(std::max(config_.vae_batch_size, 1))) {
    encoded.push_back(family_.encode_latents(chunk));
  }
  at::Tensor latents = at::cat(encoded);
  if (at::isnan(latents).any().item<bool>()) {
    log::warning("the VAE gives NaN for {}; they are set to 0. --no_half_vae runs it in fp32",
                 fmt::join(batch.files, ", "));
    latents = at::nan_to_num(latents, 0);
  }
  return scaled(latents);
}

// Parameters of modules on text encoders that do not say a word in this batch: they take no part in its gradient, so
// that an optimizer leaves them where they are.
std::vector<at::Tensor> AdapterTask::parameters_of_silent(const DroppedRows& rows, size_t num_rows) const {
  std::vector<at::Tensor> silent;
  const auto& dropouts = family_.info().text_dropouts;
  for (size_t i = 0; i < dropouts.size(); ++i) {
    if (rows[i].size() < num_rows) continue;
    for (const at::Tensor& parameter : text_parameters_.at(dropouts[i].encoder)) {
      if (parameter.requires_grad()) silent.push_back(parameter);
    }
  }
  return silent;
}

Conditioning AdapterTask::conditioning_of(const Batch& batch, const std::function<double()>& python_uniform) {
  const auto& dropouts = family_.info().text_dropouts;
  const size_t num_rows = batch.captions.size();
  Conditioning conditioning;
  for (const auto& [name, rows] : batch.text) conditioning[name] = rows.to(config_.device);
  if (!batch.text.empty()) {
    drop_text(dropouts,
              draw_dropped_rows(
                  dropouts, num_rows, [](int) { return true; }, python_uniform),
              conditioning);
  }
  if (!family_.is_loaded(Component::text_encoders)) return conditioning;
  // What is encoded again is dropped again, as in the reference.
  const auto is_present = [&](int encoder) { return family_.has_text_encoder(encoder); };
  const DroppedRows dropped = draw_dropped_rows(dropouts, num_rows, is_present, python_uniform);
  auto silent = parameters_of_silent(dropped, num_rows);
  for (auto& parameter : silent) parameter.requires_grad_(false);
  const at::AutoGradMode with_grad(config_.trains_text_encoders && at::GradMode::is_enabled());
  Conditioning encoded = family_.encode_text({batch.captions, TextBatch::Use::training_caption});
  for (auto& parameter : silent) parameter.requires_grad_(true);
  drop_text(dropouts, dropped, encoded);
  for (auto& [name, rows] : encoded) conditioning[name] = std::move(rows);
  return conditioning;
}

void AdapterTask::draw_ahead(const BatchPlan& plan, const std::function<double()>& python_uniform) const {
  const auto& dropouts = family_.info().text_dropouts;
  const size_t num_rows = plan.samples.size();
  if (config_.caches_text)
    draw_dropped_rows(
        dropouts, num_rows, [](int) { return true; }, python_uniform);
  const auto is_present = [&](int encoder) { return family_.has_text_encoder(encoder); };
  draw_dropped_rows(dropouts, num_rows, is_present, python_uniform);
  const int64_t pixels = family_.info().pixels_per_latent;
  multires_sizes(config_.noise, plan.resolution.height / pixels, plan.resolution.width / pixels, python_uniform);
}

at::Tensor AdapterTask::loss(const Batch& batch, const RandomSources& random) {
  const at::Tensor latents = latents_of(batch);
  const Conditioning conditioning = conditioning_of(batch, random.python_uniform);
  const NoisedBatch noised = objective_.draw(latents, random);
  const at::Tensor prediction = family_.denoise({noised.noisy_latents, noised.timesteps, conditioning, batch.sizes()});
  return objective_.per_sample_loss(prediction, noised, {batch.loss_weights.to(latents.device()), batch.alpha_masks})
      .mean();
}

std::vector<ParamGroup> AdapterTask::parameter_groups() const {
  std::vector<ParamGroup> groups;
  for (auto& group : network_.parameter_groups(config_.learning_rates)) {
    groups.push_back({std::move(group.name), std::move(group.parameters), group.learning_rate});
  }
  if (groups.empty())
    throw UsageError(
        "every learning rate is 0 (--learning_rate, --unet_lr, --text_encoder_lr): nothing would be trained");
  return groups;
}

std::vector<at::Tensor> AdapterTask::clipped_parameters() const {
  std::vector<at::Tensor> result;
  for (const auto& [key, parameter] : network_.parameters()) {
    if (parameter.requires_grad()) result.push_back(parameter);
  }
  return result;
}

void AdapterTask::load(const TensorSource& state) {
  const auto own = network_.parameters();
  for (const auto& [key, parameter] : own) {
    if (!state.contains(key)) {
      fail("{}: lacks {}: the state is of a network with other modules (--network_module, --network_args)",
           state.path().string(), key);
    }
    const auto shape = state.info(key).shape;
    if (parameter.sizes() != at::IntArrayRef(shape)) {
      fail("{}: {} has shape [{}], this run's has [{}]: resume with the same --network_dim", state.path().string(), key,
           fmt::join(shape, ", "), fmt::join(parameter.sizes(), ", "));
    }
  }
  network_.load(state);
}

void AdapterTask::before_step() {
  if (config_.logs_gradient_norms || network_.is_perturbed()) norms_ = network_.observe_gradients();
}

std::map<std::string, double> AdapterTask::after_batch() {
  if (config_.scale_weight_norms > 0) {
    const auto norms = network_.limit_weight_norms(config_.scale_weight_norms);
    return {{"max_norm/keys_scaled", static_cast<double>(norms.num_scaled)},
            {"max_norm/max_key_norm", norms.max},
            {"norm/avg_key_norm", norms.mean}};
  }
  if (!norms_ || !config_.logs_gradient_norms) return {};
  std::map<std::string, double> values = {{"norm/avg_grad_norm", norms_->gradient}};
  if (norms_->change) values["norm/avg_key_norm"] = *norms_->change;
  if (norms_->weight) values["norm/avg_combined_norm"] = *norms_->weight;
  return values;
}

}  // namespace difftune
