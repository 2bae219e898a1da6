// Opens weights of any format that difftune reads.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "weights/tensor_source.h"

namespace difftune {

// Opens a file of weights by what it contains, not by its name: safetensors, or a PyTorch checkpoint (.ckpt, .pt, .bin;
// zip or legacy), whose pickle is read and never executed. Throws UserError that says what the file is instead.
std::shared_ptr<const TensorSource> open_weights(const fs::path& path);

// The same for a file that is the first of several, "NAME-00001-of-00003.safetensors": opens them all as one.
std::shared_ptr<const TensorSource> open_sharded_weights(const fs::path& path);

// Opens the weights in one component folder of a Diffusers model (unet/, vae/, text_encoder/): safetensors before .bin,
// shards by their index.json, or without one by their names. Keys are those of the files. A variant such as "fp16" is
// part of the files' names ("model.fp16.safetensors"); others are not looked for then.
std::shared_ptr<const TensorSource> open_component_folder(const fs::path& folder, const std::string& variant = "");

// Opens the given components of a Diffusers model folder as one source with keys such as "unet.conv_in.weight".
// Throws UserError where one has no weights.
std::shared_ptr<const TensorSource> open_diffusers_folder(const fs::path& folder,
                                                          const std::vector<std::string>& components,
                                                          const std::string& variant = "");

// Whether `path` is a folder with a model_index.json, a unet/ or a transformer/ inside.
bool is_diffusers_folder(const fs::path& path);

}  // namespace difftune
