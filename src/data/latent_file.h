// One entry of the latent cache on disk: NAME_WWWWxHHHH_sd.npz beside the image (other families: other endings).
#pragma once

#include <string>

#include "data/cache_formats.h"
#include "data/dataset.h"

namespace difftune {

// The entry's path: `image` without extension, the image's size, the suffix; or STEM.npz (an older form of the files
// without sized names) where it exists.
std::string latent_file_path(const std::string& image, SizePx image_size, const LatentFileFormat& format);

// Reads the entry of a bucket. Throws UserError that names the file if it is damaged or lacks a part every entry has.
CachedLatents read_latent_file(const std::string& npz_file, const LatentFileFormat& format, SizePx bucket);

// What an entry was made from; lets a stale one be found. Kept as `difftune_source`, which other programs ignore.
struct LatentSource {
  std::string image;        // path
  std::string preparation;  // everything beside the image's bytes that its pixels depend on
  std::string encoder_id;
};

// Writes an entry atomically; arrays that the file holds beside these are kept, as the reference keeps them.
void write_latent_file(const std::string& npz_file, const LatentFileFormat& format, const CachedLatents& entry,
                       const LatentSource& source);

struct LatentRequirements {
  SizePx bucket;
  SizePx image_size;
  bool flipped = false;
  bool alpha_mask = false;
};

// Why the existing entry cannot be used: damaged, incomplete, of another size, not finite, or made from something else.
// Empty: it can.
std::string why_unusable(const std::string& npz_file, const LatentFileFormat& format, const LatentRequirements& needed,
                         const LatentSource& source);

}  // namespace difftune
