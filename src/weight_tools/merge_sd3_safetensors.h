// One file of Stable Diffusion 3 out of the files of its parts.
#pragma once

#include <optional>
#include <vector>

#include "weight_tools/checkpoint_output.h"

namespace difftune {

struct MergeSd3Request {
  fs::path dit;  // may hold the VAE too
  std::optional<fs::path> vae, clip_l, clip_g, t5xxl;
  std::optional<c10::ScalarType> save_dtype;  // of every tensor; nothing: as they are
};

struct MergeSd3Plan {
  std::vector<TensorRecipe> recipes;  // in the order of the file
  std::optional<Metadata> metadata;   // of the DiT's file
  struct Part {
    std::string name;  // "DiT", "VAE", ...
    size_t num_tensors = 0;
  };
  std::vector<Part> parts;
  bool has_mmdit = false;  // the DiT's file has the blocks of an SD3 model
};

// Opens the files. Each tensor goes below the prefix of its part, unless its key begins with it already. A tensor of a
// later part replaces one of the same name.
MergeSd3Plan plan_merge_sd3(const MergeSd3Request& request);

}  // namespace difftune
