#include "train/train_lora.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <random>

#include "adapters/lora.h"
#include "base/error.h"
#include "base/log.h"
#include "data/dataset_metadata.h"
#include "data/text_cache.h"
#include "families/family_table.h"
#include "nn/device.h"
#include "nn/pooled_allocator.h"
#include "nn/random_state.h"
#include "optim/optimizer_table.h"
#include "train/adapter_task.h"
#include "train/fill_caches.h"
#include "train/interrupt.h"
#include "train/listeners/progress_listener.h"
#include "train/listeners/sample_listener.h"
#include "train/listeners/save_listener.h"
#include "train/listeners/tensorboard_listener.h"
#include "train/lora_metadata.h"
#include "train/lora_options.h"
#include "train/run_plan.h"
#include "train/trainer.h"
#include "weights/fingerprint.h"
#include "weights/model_hash.h"
#include "weights/open_weights.h"
#include "weights/safetensors.h"

namespace difftune {
namespace {

double seconds_since_1970() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

uint64_t random_below_2_32() { return std::random_device{}(); }

c10::ScalarType save_dtype(const std::string& precision) {
  if (precision == "fp16") return c10::kHalf;
  return precision == "bf16" ? c10::kBFloat16 : c10::kFloat;
}

// Space for the files that a run keeps at the least: weights, and a state with two numbers more per parameter.
void require_free_space(const OutputOptions& output, const StateOptions& state, int64_t num_parameters) {
  const bool keeps_state = state.save_state || state.save_state_on_train_end;
  const auto needed = static_cast<uint64_t>(num_parameters) * 4 * (keeps_state ? 4 : 1) + (1 << 20);
  const uint64_t free = free_space_bytes(output.output_dir);
  if (free < needed) {
    fail("--output_dir {}: {} MiB are free, at least {} MiB are needed for {}", output.output_dir, free >> 20,
         (needed >> 20) + 1, keeps_state ? "one LoRA and one state" : "one LoRA");
  }
}

// The parts of a run in the order in which they come to be; each step below adds its own.
class LoraRun {
 public:
  LoraRun(const TrainNetworkOptions& options, const TrainCommand& command, const OptionTexts& texts)
      : options_(options),
        command_(command),
        texts_(texts),
        started_at_(seconds_since_1970()),
        device_(nn::training_device()) {}

  int run() {
    check_before_loading();
    if (options_.run.dry_run) return 0;
    cache_latents_if_asked();
    load_text_encoders();
    load_denoiser();
    create_network();
    train();
    return trainer_->is_interrupted() ? 130 : 0;
  }

 private:
  // Everything that can be wrong with the input is found here, before a model is loaded.
  void check_before_loading() {
    seed_ = options_.training.seed ? *options_.training.seed : static_cast<int64_t>(random_below_2_32());
    if (!options_.training.seed) log::info("--seed is not given: this run's is {}", seed_);
    const ModelRequest request = model_request(options_, device_);
    // --output_name may hold a folder.
    const OutputNames names(options_.output, options_.state, 1);
    output_folder_ = names.last_file().parent_path();
    require_writable_folder(output_folder_, "--output_dir");
    remove_stale_temporaries(output_folder_);
    // Commands that train two kinds of models name one by an option.
    std::string command(command_.name);
    if (options_.transformer.model_type != TransformerOptions().model_type) {
      command += " --model_type " + options_.transformer.model_type;
    }
    family_ = open_model(request, command, options_.model.v2);
    lora_config_ = lora_config(options_.network, family_->info().lora);
    lora_config_.reference_quirks = options_.run.reference_quirks;
    objective_ = family_->make_objective(objective_settings(options_), device_);
    if (options_.network.network_weights) network_weights_ = open_weights(*options_.network.network_weights);
    if (options_.network.dim_from_weights) lora_config_.dims_by_module = lora_dims(*network_weights_);
    if (options_.state.resume) resumed_ = load_run_state(*options_.state.resume);
    if (options_.sample.sample_prompts) {
      prompts_ = read_sample_prompts(*options_.sample.sample_prompts, family_->info().pictures,
                                     options_.sample.sample_sampler);
    }

    data_.emplace(dataset_configs(options_, family_->info()), dataset_group_options(options_, family_->info(), seed_));
    if (caches_text()) require_fixed_captions(*data_);
    data_->log_summary();

    plan_ = plan_run(data_->num_batches_per_epoch(), options_.training.gradient_accumulation_steps,
                     options_.training.max_train_steps, options_.training.max_train_epochs);
    log::info("{} on {}: {}", family_->info().name, device_.str(),
              describe(plan_, options_.training.gradient_accumulation_steps, options_.training.max_train_epochs));
    if (resumed_ && resumed_->position.step >= plan_.num_steps) {
      fail("--resume {}: the state has {} steps done, the run ends after {} (--max_train_steps)",
           *options_.state.resume, resumed_->position.step, plan_.num_steps);
    }
    // The hash of a whole checkpoint takes seconds; it is needed first when something is saved.
    model_identity_ = std::async(std::launch::async, identify_model_file, options_.model.pretrained_model_name_or_path);
    if (options_.model.vae) vae_identity_ = std::async(std::launch::async, identify_model_file, *options_.model.vae);
  }

  // Random numbers begin here: loading draws none, so it does not matter when a part is loaded.
  void cache_latents_if_asked() {
    nn::seed_generators(static_cast<uint64_t>(seed_));
    python_random_.seed(static_cast<uint64_t>(seed_));
    family_->load(Component::vae);
    if (!options_.latent_cache.cache_latents) return;
    fill_latent_cache(*family_, *data_, options_);
    family_->unload(Component::vae);
    nn::trim_pooled_memory();
  }

  bool caches_text() const { return options_.text_cache.cache_text_encoder_outputs; }

  // Captions that are cached need the encoders no more, apart from those that are trained: they encode in every step.
  void load_text_encoders() {
    family_->load(Component::text_encoders);
    // The reference merges other LoRAs after it has cached the outputs, so that these lack what was merged.
    const bool merges_first = !options_.network.base_weights.empty() && !options_.run.reference_quirks;
    if (caches_text() && merges_first) load_denoiser();
    if (!caches_text()) return;
    std::string merged;
    for (size_t i = 0; merges_first && i < options_.network.base_weights.size(); ++i) {
      merged += fmt::format(" + {} x {}", base_weight_factor(i),
                            fingerprint(*open_weights(options_.network.base_weights[i])));
    }
    fill_text_cache(*family_, *data_, options_, merged);
    for (const auto& prompt : prompts_) prompt_texts_.push_back(encode_prompt(*family_, prompt));
    const auto trained = adapted_text_encoders(lora_config_, family_->adapter_targets());
    size_t num_text_encoders = 0;
    for (const auto& group : family_->info().text_rates) num_text_encoders += group.components.size();
    if (!trained.empty() && trained.size() == num_text_encoders) {
      log::warning("every text encoder is trained and encodes in each step: what was cached is not used");
    }
    family_->unload_text_encoders_except(trained);
    nn::trim_pooled_memory();
  }

  void load_denoiser() {
    if (family_->is_loaded(Component::denoiser)) return;
    family_->load(Component::denoiser);
    for (size_t i = 0; i < options_.network.base_weights.size(); ++i) {
      const std::string& file = options_.network.base_weights[i];
      const auto source = open_weights(file);
      const auto merged = merge_lora_into(*source, family_->adapter_targets(), base_weight_factor(i));
      draw_unused_initial_values(*source, family_->adapter_targets(), nn::default_generator(c10::kCPU));
      log::info("--base_weights {}: {} modules merged with multiplier {}", file, merged, base_weight_factor(i));
    }
  }

  double base_weight_factor(size_t i) const {
    const auto& multipliers = options_.network.base_weights_multiplier;
    return i < multipliers.size() ? multipliers[i] : 1.0;
  }

  void create_network() {
    // The reference extends its list of target blocks for the networks that it merges, and does not shorten it again.
    lora_config_.enters_convolutional_blocks = options_.run.reference_quirks && !options_.network.base_weights.empty();
    network_ = std::make_unique<LoraNetwork>(lora_config_, family_->adapter_targets(), nn::default_generator(c10::kCPU),
                                             device_,
                                             options_.compute.full_bf16   ? c10::kBFloat16
                                             : options_.compute.full_fp16 ? c10::kHalf
                                                                          : c10::kFloat);
    if (network_weights_) network_->load(*network_weights_);
    int64_t num_text_modules = 0;
    for (const auto& group : family_->info().text_rates) {
      for (const int component : group.components) num_text_modules += network_->num_modules(component);
    }
    log::info("LoRA: {} modules on the denoiser, {} on text encoders, {} parameters", network_->num_modules(0),
              num_text_modules, network_->num_parameters());
    require_free_space(options_.output, options_.state, network_->num_parameters());

    AdapterTaskConfig config;
    config.learning_rates = learning_rates(options_, family_->info());
    config.device = device_;
    config.trains_text_encoders = !options_.network.network_train_unet_only;
    config.caches_text = caches_text();
    config.vae_batch_size = static_cast<int>(options_.latent_cache.vae_batch_size);
    if (options_.network.scale_weight_norms) config.scale_weight_norms = *options_.network.scale_weight_norms;
    config.logs_gradient_norms = family_->info().lora.logs_gradient_norms;
    config.noise = objective_settings(options_).ddpm.noise;
    config.reference_quirks = options_.run.reference_quirks;
    task_.emplace(*family_, *network_, *objective_, config);
    optimizer_ = make_optimizer(
        {optimizer_name(options_.optimizer), options_.optimizer.optimizer_args, options_.optimizer.learning_rate},
        task_->parameter_groups());
  }

  LrScheduleConfig schedule_config() const {
    const auto& from = options_.lr_schedule;
    const auto steps = [](const Number& n) {
      return n.is_integer() ? StepsOrRatio(static_cast<int64_t>(n.value())) : StepsOrRatio(n.value());
    };
    LrScheduleConfig config;
    if (optimizer_->sets_own_lr()) return config;  // no schedule goes with it
    config.name = from.lr_scheduler;
    config.num_steps = plan_.num_steps;
    config.warmup = steps(from.lr_warmup_steps);
    config.decay = steps(from.lr_decay_steps);
    config.num_cycles = from.lr_scheduler_num_cycles;
    config.power = from.lr_scheduler_power;
    config.timescale = from.lr_scheduler_timescale;
    if (from.lr_scheduler_min_lr_ratio) config.min_lr_ratio = from.lr_scheduler_min_lr_ratio->value();
    config.learning_rate = options_.optimizer.learning_rate;
    config.args = from.lr_scheduler_args;
    return config;
  }

  TrainerConfig trainer_config() const {
    TrainerConfig config;
    config.max_steps = plan_.num_steps;
    config.num_epochs = plan_.num_epochs;
    config.accumulation = options_.training.gradient_accumulation_steps;
    config.max_grad_norm = options_.optimizer.max_grad_norm;
    config.num_loader_threads = static_cast<int>(std::clamp<int64_t>(options_.dataset.max_data_loader_n_workers, 1, 8));
    config.scales_loss = options_.compute.mixed_precision == "fp16";
    config.device = device_;
    config.seed = seed_;
    return config;
  }

  GenerateOptions generate_options() const {
    GenerateOptions how;
    how.sampler = options_.sample.sample_sampler;
    how.prediction = objective_settings(options_).ddpm.prediction;
    how.zero_terminal_snr = options_.noise.zero_terminal_snr;
    how.reference_quirks = options_.run.reference_quirks;
    return how;
  }

  // Known when the hashes are, hence made at the first save.
  const LoraMetadata& metadata() {
    if (!metadata_) {
      LoraRunFacts facts;
      facts.session_id = session_id_;
      facts.started_at = started_at_;
      facts.seed = seed_;
      facts.num_epochs = plan_.num_epochs;
      facts.max_train_steps = plan_.num_steps;
      facts.num_batches_per_epoch = plan_.batches_per_epoch;
      facts.optimizer = optimizer_->description();
      facts.optimizer_sets_own_lr = optimizer_->sets_own_lr();
      facts.model = model_identity_.get();
      if (vae_identity_.valid()) facts.vae = vae_identity_.get();
      metadata_.emplace(options_, family_->info(),
                        dataset_metadata(*data_, options_.dataset.dataset_config.has_value()), facts, command_);
    }
    return *metadata_;
  }

  void save_weights(const fs::path& file, int64_t step, int64_t epoch) {
    std::vector<NamedTensor> tensors = network_->state();
    if (const std::string key = first_non_finite(tensors); !key.empty()) {
      fail("step {}: {} is not finite: the weights were not saved; earlier files are as they were", step, key);
    }
    if (options_.output.save_precision) {
      for (auto& [key, tensor] : tensors) tensor = tensor.to(save_dtype(*options_.output.save_precision));
    }
    Metadata entries = metadata().at_save(epoch, step, seconds_since_1970());
    const LoraHashes hashes = lora_hashes(tensors, entries);
    entries["sshs_model_hash"] = hashes.sshs_model_hash;
    entries["sshs_legacy_hash"] = hashes.sshs_legacy_hash;
    write_safetensors(file, tensors, entries);
  }

  void train() {
    trainer_.emplace(trainer_config(), *data_, *task_, *optimizer_, make_lr_schedule(schedule_config()),
                     python_random_);
    if (resumed_) {
      trainer_->restore(*resumed_);
      log::info("--resume {}: going on after step {}", *options_.state.resume, trainer_->step());
      resumed_.reset();
    }

    write_file_atomically(OutputNames(options_.output, options_.state, 1).last_file().replace_extension(".config.toml"),
                          texts_.toml);
    SaveListener saver(
        OutputNames(options_.output, options_.state, plan_.num_epochs),
        [this](const fs::path& file, int64_t step, int64_t epoch) { save_weights(file, step, epoch); },
        [this] { return trainer_->snapshot(); });
    trainer_->add_listener(saver);
    std::optional<TensorboardListener> curves;
    if (options_.tracking.logging_dir) {
      curves.emplace(tensorboard_folder(options_.tracking, "network_train", static_cast<std::time_t>(started_at_)),
                     !options_.network.network_train_unet_only);
      trainer_->add_listener(*curves);
    }
    if (curves && options_.tracking.log_config) curves->writer().add_text("options", texts_.table, 0);
    std::optional<SampleListener> sampler;
    if (!prompts_.empty()) {
      sampler.emplace(*family_, *task_, options_.sample, prompts_, prompt_texts_, generate_options(),
                      SampleFiles{.output_dir = options_.output.output_dir,
                                  .output_name = options_.output.output_name.value_or("")});
      trainer_->add_listener(*sampler);
    }
    ProgressListener progress(plan_.num_steps);
    trainer_->add_listener(progress);

    const InterruptGuard interrupt;
    trainer_->run([&] { return interrupt.is_requested(); });
    report_change();
  }

  // A LoRA without effect is noticed here and not in the first pictures.
  void report_change() const {
    double sum = 0, largest = 0;
    const auto norms = network_->change_norms();
    for (const auto& [name, norm] : norms) {
      sum += norm;
      largest = std::max(largest, norm);
    }
    log::info("change of the weights: mean norm {:.4g}, largest {:.4g} over {} modules",
              sum / static_cast<double>(norms.size()), largest, norms.size());
    if (largest < 1e-6) log::warning("the LoRA changes almost nothing: are the learning rates too small?");
  }

  const TrainNetworkOptions& options_;
  const TrainCommand& command_;
  const OptionTexts& texts_;
  double started_at_;
  c10::Device device_;
  int64_t seed_ = 0;
  uint64_t session_id_ = random_below_2_32();
  PythonRandom python_random_;
  RunPlan plan_;
  std::unique_ptr<Objective> objective_;
  LoraConfig lora_config_;
  std::unique_ptr<ModelFamily> family_;
  std::shared_ptr<const TensorSource> network_weights_;
  std::optional<RunSnapshot> resumed_;
  std::vector<SamplePrompt> prompts_;
  std::vector<Conditioning> prompt_texts_;  // what text encoders say that are gone
  fs::path output_folder_;
  std::optional<DatasetGroup> data_;
  std::unique_ptr<LoraNetwork> network_;
  std::optional<AdapterTask> task_;
  std::unique_ptr<Optimizer> optimizer_;
  std::optional<Trainer> trainer_;
  std::future<ModelFileIdentity> model_identity_, vae_identity_;
  std::optional<LoraMetadata> metadata_;
};

}  // namespace

int train_lora(const TrainNetworkOptions& options, const TrainCommand& command, const OptionTexts& texts) {
  nn::use_pooled_memory();
  return LoraRun(options, command, texts).run();
}

}  // namespace difftune
