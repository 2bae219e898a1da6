// The caches of a run: latents and text encoder outputs, filled by a family as the options of a command ask for it.
#pragma once

#include <string>

#include "data/dataset_group.h"
#include "families/model_family.h"
#include "options/train_network_options.h"

namespace difftune {

// How the options say that a group's data are loaded and cached. `seed` decides the order of batches.
DatasetGroupOptions dataset_group_options(const TrainNetworkOptions& options, const FamilyInfo& family, int64_t seed);

// Encode what is missing; the VAE, or the text encoders, must be loaded. `merged` is what else the text encoders hold
// beside their own weights. Throw UserError.
void fill_latent_cache(const ModelFamily& family, DatasetGroup& data, const TrainNetworkOptions& options);
void fill_text_cache(const ModelFamily& family, DatasetGroup& data, const TrainNetworkOptions& options,
                     const std::string& merged = "");

}  // namespace difftune
