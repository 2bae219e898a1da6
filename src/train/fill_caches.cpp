#include "train/fill_caches.h"

#include <ATen/core/grad_mode.h>

#include "data/latent_cache.h"
#include "data/text_cache.h"

namespace difftune {

DatasetGroupOptions dataset_group_options(const TrainNetworkOptions& options, const FamilyInfo& family, int64_t seed) {
  DatasetGroupOptions result;
  result.seed = static_cast<uint64_t>(seed);
  result.cache_latents = options.latent_cache.cache_latents;
  result.cache_text = options.text_cache.cache_text_encoder_outputs;
  result.latent_format = family.latent_files;
  result.text_format = family.text_files;
  result.reference_quirks = options.run.reference_quirks;
  return result;
}

void fill_latent_cache(const ModelFamily& family, DatasetGroup& data, const TrainNetworkOptions& options) {
  LatentCacheSettings settings;
  settings.to_disk = options.latent_cache.cache_latents_to_disk;
  settings.vae_batch_size = static_cast<int>(options.latent_cache.vae_batch_size);
  settings.skip_cache_check = options.latent_cache.skip_cache_check;
  const at::NoGradGuard no_grad;
  cache_latents(
      data, [&](const at::Tensor& images) { return family.encode_latents(images); }, settings);
}

void fill_text_cache(const ModelFamily& family, DatasetGroup& data, const TrainNetworkOptions& options,
                     const std::string& merged) {
  TextCacheSettings settings;
  settings.to_disk = options.text_cache.cache_text_encoder_outputs_to_disk;
  settings.skip_cache_check = options.latent_cache.skip_cache_check;
  settings.batch_size =
      static_cast<int>(options.text_cache.text_encoder_batch_size.value_or(options.dataset.train_batch_size));
  settings.encoder_id = family.info().text_encoder_id + merged;
  const at::NoGradGuard no_grad;
  cache_text_outputs(
      data,
      [&](const std::vector<std::string>& captions) {
        return family.encode_text({captions, TextBatch::Use::cached_caption});
      },
      settings);
}

}  // namespace difftune
