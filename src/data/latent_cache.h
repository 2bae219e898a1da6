// Latents of all images, computed once before training: kept in memory or as .npz files beside the images.
// The files are those of the reference (its latents caching strategies): either program can use the other's.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>

#include "data/dataset_group.h"

namespace difftune {

struct LatentCacheSettings {
  bool to_disk = false;
  int vae_batch_size = 1;
  bool skip_cache_check = false;  // an existing file is taken unread
  // What the encoder is, e.g. a hash of its weights. Entries that difftune wrote with another one are rebuilt. Empty:
  // not compared.
  std::string encoder_id = {};
};

// Encodes images [B, 3, H, W] (float32 in [-1, 1], CPU) to unscaled latents [B, C, H/8, W/8], drawing the posterior's
// noise itself. The result is kept in its dtype.
using EncodeImages = std::function<at::Tensor(const at::Tensor&)>;

// Gives every image of the group its latents. Batches and their order are those of the reference (so are the encoder's
// draws): per dataset by bucket area; a mirrored batch follows its original where flip_aug is set. Entries found on
// disk that are missing a part, damaged or older than their image are rebuilt with a note. Throws UserError.
void cache_latents(DatasetGroup& group, const EncodeImages& encode, const LatentCacheSettings& options);

}  // namespace difftune
