#include "train/cache_files.h"

#include "base/error.h"
#include "base/log.h"
#include "data/text_cache.h"
#include "families/family_table.h"
#include "families/text/text_encoder_reader.h"
#include "nn/device.h"
#include "nn/pooled_allocator.h"
#include "nn/random_state.h"
#include "train/fill_caches.h"
#include "train/lora_options.h"

namespace difftune {
namespace {

// The family of the checkpoint; the flags must say which one it is, as the reference cannot tell.
std::unique_ptr<ModelFamily> open_for_cache(const CacheOptions& options, CacheCommand command, c10::Device device) {
  ModelRequest request = model_request(options.train, device);
  request.only = command == CacheCommand::latents ? Component::vae : Component::text_encoders;
  if (options.t5xxl_dtype) {
    request.t5_form = parse_weight_form("--t5xxl_dtype", *options.t5xxl_dtype, device);
  }
  const std::string_view wanted = train_command_name(options);
  if (const FamilyRow& found = *recognise_model(request.checkpoint).row; found.train_command != wanted) {
    const auto flags = [](std::string_view train_command) {
      const std::string_view given = kind_flags(train_command);
      return given.empty() ? std::string("no such option") : std::string(given);
    };
    fail("{}: this is {}, which needs {}, and {} is given", request.checkpoint.string(), found.name,
         flags(found.train_command), flags(wanted));
  }
  return open_model(request, wanted, options.train.model.v2);
}

}  // namespace

int make_cache_files(const CacheOptions& options, CacheCommand command) {
  nn::use_pooled_memory();
  const TrainNetworkOptions& train = options.train;
  const c10::Device device = nn::training_device();
  const auto family = open_for_cache(options, command, device);
  const int64_t seed = train.training.seed.value_or(0);
  DatasetGroup data(dataset_configs(train, family->info()), dataset_group_options(train, family->info(), seed));
  if (command == CacheCommand::text) require_fixed_captions(data);
  data.log_summary();
  if (train.run.dry_run) return 0;
  nn::seed_generators(static_cast<uint64_t>(seed));
  if (command == CacheCommand::latents) {
    family->load(Component::vae);
    fill_latent_cache(*family, data, train);
  } else {
    family->load(Component::text_encoders);
    fill_text_cache(*family, data, train);
  }
  log::info("the cache is complete: train with {}",
            command == CacheCommand::latents ? "--cache_latents_to_disk" : "--cache_text_encoder_outputs_to_disk");
  return 0;
}

}  // namespace difftune
