// The weighted sum of checkpoints of one architecture.
#pragma once

#include <vector>

#include "base/files.h"
#include "weight_tools/checkpoint_output.h"

namespace difftune {

struct MergeModelsRequest {
  std::vector<fs::path> models;
  std::vector<double> ratios;                              // one for each model; empty: all the same, 1 in total
  bool unet_only = false;                                  // VAE and text encoders are the first model's
  c10::ScalarType compute_dtype = c10::ScalarType::Float;  // of the products and of each sum
  c10::ScalarType save_dtype = c10::ScalarType::Float;     // of every tensor, integers too
  // A text encoder whose keys lack "text_model" counts as merged and as missing at once.
  bool reference_quirks = false;
};

struct MergeModelsPlan {
  std::vector<TensorRecipe> recipes;
  size_t num_merged = 0;                     // tensors that every model has
  size_t num_first_only = 0;                 // VAE and text encoders, with unet_only
  std::vector<std::string> missing_in_some;  // the first model's value makes up for theirs
  std::vector<std::string> skipped;          // "MODEL: KEY" of tensors that the first model lacks
};

// Opens the models and says what is made of them. Throws UsageError where ratios and models differ in number and
// UserError where shapes differ (it names both and the tensor) or the models have nothing in common.
MergeModelsPlan plan_merge_models(const MergeModelsRequest& request);

}  // namespace difftune
