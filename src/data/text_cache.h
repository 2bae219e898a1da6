// Outputs of the text encoders for all captions, computed once before training: kept in memory or as .npz files beside
// the images. The files are those of the reference's text encoder outputs caching strategies: either program can use
// the other's.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "data/dataset_group.h"

namespace difftune {

struct TextCacheSettings {
  bool to_disk = false;
  int batch_size = 1;
  bool skip_cache_check = false;  // an existing file is taken unread
  // The encoders and how they are used: entries that difftune wrote with another one are rebuilt.
  std::string encoder_id = {};
};

// Encodes captions to tensors by name, [B, ...] each.
using EncodeCaptions = std::function<TextOutputs(const std::vector<std::string>&)>;

// Gives every image of the group the outputs of its caption. Throws UserError where captions are not the same in every
// step (shuffling, dropout, warm-up, wildcards), for something that is not finite, and where the disk is too full.
// Entries found on disk that are missing a part, damaged, or made from another caption or encoder are rebuilt with a
// note: one edited caption costs one entry.
void cache_text_outputs(DatasetGroup& group, const EncodeCaptions& encode, const TextCacheSettings& options);

// Throws that error, without encoding anything: for the checks before a run.
void require_fixed_captions(const DatasetGroup& group);

}  // namespace difftune
