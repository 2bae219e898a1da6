// One entry of the text cache on disk: NAME_te_outputs.npz beside the image (other families: other endings).
#pragma once

#include <string>

#include "data/cache_formats.h"

namespace difftune {

// The entry's path: `image` without extension, and the suffix.
std::string text_file_path(const std::string& image, const TextFileFormat& format);

// Reads an entry, in float32. Throws UserError that names the file if it is damaged or lacks an array.
TextOutputs read_text_file(const std::string& npz_file, const TextFileFormat& format);

// What an entry was made from; lets a stale one be found. Kept as `difftune_source`, which other programs ignore.
struct TextSource {
  std::string caption;
  std::string caption_file;  // "": none
  // The encoders and how they are used, e.g. a hash of their weights and the number of tokens.
  std::string encoder_id;
};

// Writes an entry atomically: bfloat16 as float32, other dtypes as they are.
void write_text_file(const std::string& npz_file, const TextFileFormat& format, const TextOutputs& outputs,
                     const TextSource& source);

// Why the existing entry cannot be used: damaged, incomplete, not finite, or made from something else. Empty: it can.
std::string why_unusable(const std::string& npz_file, const TextFileFormat& format, const TextSource& source);

}  // namespace difftune
