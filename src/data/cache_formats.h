// What a family's caches hold and what their files look like. The files are those of the reference.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace difftune {

// Entries of the latent cache.
struct LatentFileFormat {
  std::string suffix = "_sd.npz";
  int64_t num_channels = 4;
  int64_t pixels_per_latent = 8;
  // Whether the names of the arrays end in the latents' size, "latents_32x48" (height first): a file then holds several
  // resolutions.
  bool has_sized_names = false;
};

// What a family's text encoders say about a caption: tensors by name, without a batch axis; or about several, with one.
using TextOutputs = std::map<std::string, at::Tensor>;

// Entries of the text cache. The arrays are the outputs by name.
struct TextFileFormat {
  std::string suffix;
  std::vector<std::string> arrays;  // what every entry has
  // Settings that the outputs depend on and that are written beside them (apply_t5_attn_mask); an entry with another
  // value is not used.
  std::map<std::string, bool> flags;
};

}  // namespace difftune
