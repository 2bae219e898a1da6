// Keeping encoded images instead of encoding them every time.
#pragma once

#include <cstdint>

namespace difftune {

class OptionTable;

struct LatentCacheOptions {
  bool cache_latents = false;
  bool cache_latents_to_disk = false;
  int64_t vae_batch_size = 1;
  bool skip_cache_check = false;
};

void describe(LatentCacheOptions& options, OptionTable& table);

}  // namespace difftune
