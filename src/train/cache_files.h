// `difftune cache_latents` and `difftune cache_text_encoder_outputs`: the caches of a training run, made ahead of it.
#pragma once

#include "options/cache_options.h"

namespace difftune {

// Writes the cache files beside the images of the datasets. Throws UserError. Returns the exit code.
int make_cache_files(const CacheOptions& options, CacheCommand command);

}  // namespace difftune
