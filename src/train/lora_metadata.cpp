#include "train/lora_metadata.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "base/python_format.h"
#include "weights/model_hash.h"

namespace difftune {
namespace {

// What a program needs to apply the file.
constexpr std::array<std::string_view, 6> kMinimalKeys = {
    "ss_v2", "ss_base_model_version", "ss_network_module", "ss_network_dim", "ss_network_alpha", "ss_network_args"};

void add_run(const LoraRunFacts& facts, const TrainNetworkOptions& o, Metadata& m) {
  m["ss_session_id"] = std::to_string(facts.session_id);
  m["ss_training_started_at"] = python_repr(facts.started_at);
  m["ss_output_name"] = python_str(o.output.output_name);
  m["ss_sd_scripts_commit_hash"] = kImplementationVersion;
  m["ss_training_comment"] = python_str(o.metadata.training_comment);
  m["ss_seed"] = python_str(facts.seed);
  m["ss_num_epochs"] = python_str(facts.num_epochs);
  m["ss_max_train_steps"] = python_str(facts.max_train_steps);
  m["ss_num_batches_per_epoch"] = python_str(facts.num_batches_per_epoch);
  m["ss_gradient_accumulation_steps"] = python_str(o.training.gradient_accumulation_steps);
}

void add_validation(const LoraRunFacts& facts, const ValidationOptions& o, Metadata& m) {
  m["ss_num_validation_images"] = python_str(facts.num_validation_images);
  m["ss_validation_seed"] = python_str(o.validation_seed);
  m["ss_validation_split"] = python_str(o.validation_split);
  m["ss_max_validation_steps"] = python_str(o.max_validation_steps);
  m["ss_validate_every_n_epochs"] = python_str(o.validate_every_n_epochs);
  m["ss_validate_every_n_steps"] = python_str(o.validate_every_n_steps);
}

// As Python prints it: a number, or a list where the network module takes one rate for each text encoder.
std::string text_rates(const std::vector<double>& rates, bool as_list) {
  if (rates.empty()) return "None";
  if (!as_list) return python_repr(rates.front());
  std::string list;
  for (const double rate : rates) list += (list.empty() ? "" : ", ") + python_repr(rate);
  return "[" + list + "]";
}

// Learning rates that the optimizer does not use are "None", and the schedule's name carries the one it begins with.
void add_optimizer(const LoraRunFacts& facts, const FamilyInfo& family, const TrainNetworkOptions& o, Metadata& m) {
  const bool own_lr = facts.optimizer_sets_own_lr;
  m["ss_optimizer"] = facts.optimizer;
  m["ss_learning_rate"] = own_lr ? "None" : python_str(o.optimizer.learning_rate);
  m["ss_unet_lr"] = own_lr ? "None" : python_str(o.network.unet_lr);
  m["ss_text_encoder_lr"] = text_rates(o.network.text_encoder_lr, family.lora.lists_text_rates);
  m["ss_max_grad_norm"] = python_str(o.optimizer.max_grad_norm);
  m["ss_lr_scheduler"] = own_lr ? "adafactor:" + python_str(o.optimizer.learning_rate) : o.lr_schedule.lr_scheduler;
  m["ss_lr_warmup_steps"] = python_str(o.lr_schedule.lr_warmup_steps);
}

// The arguments of --network_args as a JSON object; as in a Python dict a repeated key keeps its place and takes the
// last value. The reference adds the dropout to them, unless the ranks come from a file.
std::string network_args_json(const NetworkOptions& network) {
  std::vector<std::pair<std::string, std::string>> items;
  const auto find = [&](std::string_view key) {
    return std::find_if(items.begin(), items.end(), [&](const auto& item) { return item.first == key; });
  };
  for (const std::string& argument : network.network_args) {
    const size_t equals = std::min(argument.find('='), argument.size());
    const std::string key = argument.substr(0, equals);
    const std::string value = json_quote(std::string_view(argument).substr(std::min(equals + 1, argument.size())));
    if (const auto found = find(key); found != items.end()) {
      found->second = value;
    } else {
      items.emplace_back(key, value);
    }
  }
  if (!network.dim_from_weights && find("dropout") == items.end()) {
    items.emplace_back("dropout", network.network_dropout ? python_str(*network.network_dropout) : "null");
  }
  std::string json;
  for (const auto& [key, value] : items) json += (json.empty() ? "" : ", ") + json_quote(key) + ": " + value;
  return "{" + json + "}";
}

void add_network(const NetworkOptions& o, Metadata& m) {
  m["ss_network_module"] = o.network_module;
  m["ss_network_dim"] = python_str(o.network_dim);
  m["ss_network_alpha"] = python_str(o.network_alpha);
  m["ss_network_dropout"] = python_str(o.network_dropout);
  m["ss_scale_weight_norms"] = python_str(o.scale_weight_norms);
  if (!o.network_args.empty()) m["ss_network_args"] = network_args_json(o);
}

void add_model_file(const ModelFileIdentity& file, const std::string& kind, Metadata& m) {
  m["ss_" + kind + "_name"] = file.name;
  if (file.legacy_hash) m["ss_" + kind + "_hash"] = *file.legacy_hash;
  if (file.sha256) m["ss_new_" + kind + "_hash"] = *file.sha256;
}

void add_model(const LoraRunFacts& facts, const FamilyInfo& family, const TrainNetworkOptions& o, Metadata& m) {
  m["ss_v2"] = python_str(o.model.v2);
  m["ss_base_model_version"] = family.base_model_version;
  for (const auto& [key, value] : family.metadata) m[key] = value;
  m["ss_clip_skip"] = python_str(o.text.clip_skip);
  m["ss_max_token_length"] = python_str(o.text.max_token_length);
  m["ss_lowram"] = python_str(o.model.lowram);
  add_model_file(facts.model, "sd_model", m);
  if (facts.vae) add_model_file(*facts.vae, "vae", m);
}

void add_compute(const TrainNetworkOptions& o, Metadata& m) {
  m["ss_gradient_checkpointing"] = python_str(o.compute.gradient_checkpointing);
  m["ss_mixed_precision"] = o.compute.mixed_precision;
  m["ss_full_fp16"] = python_str(o.compute.full_fp16);
  m["ss_fp8_base"] = python_str(o.compute.fp8_base);
  m["ss_fp8_base_unet"] = python_str(o.compute.fp8_base_unet);
  m["ss_cache_latents"] = python_str(o.latent_cache.cache_latents);
}

void add_noise(const NoiseOptions& o, Metadata& m) {
  m["ss_noise_offset"] = python_str(o.noise_offset);
  m["ss_noise_offset_random_strength"] = python_str(o.noise_offset_random_strength);
  m["ss_adaptive_noise_scale"] = python_str(o.adaptive_noise_scale);
  m["ss_multires_noise_iterations"] = python_str(o.multires_noise_iterations);
  m["ss_multires_noise_discount"] = python_str(o.multires_noise_discount);
  m["ss_ip_noise_gamma"] = python_str(o.ip_noise_gamma);
  m["ss_ip_noise_gamma_random_strength"] = python_str(o.ip_noise_gamma_random_strength);
  m["ss_zero_terminal_snr"] = python_str(o.zero_terminal_snr);
}

void add_loss(const LossOptions& o, Metadata& m) {
  m["ss_loss_type"] = o.loss_type;
  m["ss_huber_schedule"] = o.huber_schedule;
  m["ss_huber_scale"] = python_str(o.huber_scale);
  m["ss_huber_c"] = python_str(o.huber_c);
  m["ss_min_snr_gamma"] = python_str(o.min_snr_gamma);
  m["ss_debiased_estimation"] = python_str(o.debiased_estimation_loss);
}

std::optional<Resolution> given_resolution(const DatasetOptions& o) {
  return o.resolution ? std::optional(parse_resolution(*o.resolution)) : std::nullopt;
}

// What holds for the whole data. Without a dataset file also the options that one would give by dataset.
void add_data(const LoraRunFacts& facts, const TrainNetworkOptions& o, const Metadata& dataset, Metadata& m) {
  m["ss_caption_dropout_rate"] = python_str(o.caption.caption_dropout_rate);
  m["ss_caption_dropout_every_n_epochs"] = python_str(o.caption.caption_dropout_every_n_epochs);
  m["ss_caption_tag_dropout_rate"] = python_str(o.caption.caption_tag_dropout_rate);
  m["ss_face_crop_aug_range"] = python_str(o.augmentation.face_crop_aug_range);
  m["ss_prior_loss_weight"] = python_str(o.dataset.prior_loss_weight);
  m["ss_resize_interpolation"] = python_str(o.bucket.resize_interpolation);
  m.insert(dataset.begin(), dataset.end());
  if (o.dataset.dataset_config) return;
  const std::optional<Resolution> size = given_resolution(o.dataset);
  const int64_t batch = o.dataset.train_batch_size;
  m["ss_batch_size_per_device"] = python_str(batch);
  m["ss_total_batch_size"] = python_str(batch * facts.num_processes * o.training.gradient_accumulation_steps);
  m["ss_resolution"] = size ? fmt::format("({}, {})", size->width_px, size->height_px) : "None";
  m["ss_color_aug"] = python_str(o.augmentation.color_aug);
  m["ss_flip_aug"] = python_str(o.augmentation.flip_aug);
  m["ss_random_crop"] = python_str(o.augmentation.random_crop);
  m["ss_shuffle_caption"] = python_str(o.caption.shuffle_caption);
  m["ss_keep_tokens"] = python_str(o.caption.keep_tokens);
}

ModelSpec lora_model_spec(const TrainNetworkOptions& o, const FamilyInfo& family) {
  ModelSpec spec;
  spec.architecture = family.modelspec_architecture + "/lora";
  spec.implementation = family.modelspec_implementation;
  spec.title = o.output.output_name;
  const int64_t side = family.default_resolution_px;
  spec.resolution = given_resolution(o.dataset).value_or(Resolution{side, side});
  spec.prediction_type = family.modelspec_prediction_type;
  if (o.noise.min_timestep || o.noise.max_timestep) {
    spec.timestep_range = {o.noise.min_timestep.value_or(0), o.noise.max_timestep.value_or(1000)};
  }
  spec.encoder_layer = o.text.clip_skip;
  return spec;
}

}  // namespace

ModelFileIdentity identify_model_file(const std::string& path) {
  std::error_code ec;
  if (!fs::exists(path, ec)) return {path, std::nullopt, std::nullopt};
  return {fs::path(path).filename().string(), legacy_file_hash(path), file_sha256(path)};
}

namespace {

// What a command of a flow model records beside the common entries.
void add_recorded(const TrainCommand& command, const TrainNetworkOptions& o, Metadata& m) {
  const std::map<std::string_view, std::string> values = {
      {"model_type", o.transformer.model_type},
      {"apply_lg_attn_mask", python_str(o.transformer.apply_lg_attn_mask)},
      {"apply_t5_attn_mask", python_str(o.transformer.apply_t5_attn_mask)},
      {"guidance_scale", python_str(o.transformer.guidance_scale)},
      {"weighting_scheme", o.flow.weighting_scheme},
      {"logit_mean", python_str(o.flow.logit_mean)},
      {"logit_std", python_str(o.flow.logit_std)},
      {"mode_scale", python_str(o.flow.mode_scale)},
      {"timestep_sampling", o.flow.timestep_sampling},
      {"sigmoid_scale", python_str(o.flow.sigmoid_scale)},
      {"model_prediction_type", o.flow.model_prediction_type},
      {"discrete_flow_shift", python_str(o.flow.discrete_flow_shift)}};
  for (const std::string_view name : command.recorded) m[fmt::format("ss_{}", name)] = values.at(name);
}

}  // namespace

LoraMetadata::LoraMetadata(const TrainNetworkOptions& options, const FamilyInfo& family, const Metadata& dataset,
                           const LoraRunFacts& facts, const TrainCommand& command)
    : is_minimal_(options.metadata.no_metadata), spec_(lora_model_spec(options, family)) {
  add_run(facts, options, entries_);
  add_validation(facts, options.validation, entries_);
  add_optimizer(facts, family, options, entries_);
  add_network(options.network, entries_);
  add_model(facts, family, options, entries_);
  add_compute(options, entries_);
  add_noise(options.noise, entries_);
  add_loss(options.loss, entries_);
  add_data(facts, options, dataset, entries_);
  add_recorded(command, options, entries_);
  if (is_minimal_) {
    std::erase_if(entries_, [](const auto& entry) {
      return std::find(kMinimalKeys.begin(), kMinimalKeys.end(), entry.first) == kMinimalKeys.end();
    });
  }
  entries_.merge(model_spec_entries(spec_, options.metadata));
}

Metadata LoraMetadata::at_save(int64_t epoch, int64_t step, double now) const {
  Metadata entries = entries_;
  if (!is_minimal_) {
    entries["ss_epoch"] = std::to_string(epoch);
    entries["ss_steps"] = std::to_string(step);
    entries["ss_training_finished_at"] = python_repr(now);
  }
  add_time(spec_, now, entries);
  return entries;
}

}  // namespace difftune
