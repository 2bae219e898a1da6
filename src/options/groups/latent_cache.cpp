#include "options/groups/latent_cache.h"

#include "options/option_table.h"

namespace difftune {

void describe(LatentCacheOptions& options, OptionTable& table) {
  table.group("Latent cache");
  table.add("cache_latents", &options.cache_latents, "Encode every image once and keep the latents in memory.");
  table.add("cache_latents_to_disk", &options.cache_latents_to_disk,
            "Keep the latents in .npz files beside the images, for this run and the next; turns --cache_latents on.");
  table.add("vae_batch_size", &options.vae_batch_size, "Images that the VAE encodes at a time.",
            {.unit = "images", .minimum = 1});
  table.add("skip_cache_check", &options.skip_cache_check, "Trust that existing cache files are whole and fit.");
}

}  // namespace difftune
