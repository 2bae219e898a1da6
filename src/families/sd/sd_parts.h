// An SD 1.x/2.x checkpoint, in either layout, taken apart: what conversion between the layouts needs.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "families/sd/sd_config.h"
#include "weights/name_map.h"

namespace difftune {

// The maps from a checkpoint's keys to the names of Diffusers' components.
struct SdMaps {
  NameMap unet, vae, text;
};
// Of the layout that `config` was read from.
SdMaps sd_maps(const SdConfig& config);
// Of the LDM layout that such a model is written in, whatever it was read from: proj_in and proj_out of SD 2.x are
// matrices there.
SdMaps sd_ldm_maps(const SdConfig& config);

struct SdParts {
  std::shared_ptr<const TensorSource> checkpoint;
  SdConfig config;
  std::shared_ptr<const MappedSource> unet, vae, text;  // under Diffusers' names
};

// Throws UserError where the checkpoint is of another family, or a part lacks a tensor, has one of another shape, or
// (in a Diffusers folder) one too many. `says_v2`: what the user says of the model, if anything. A file shows its
// version; for a folder, whose names are the same in both, the user's word counts before the width of the context.
SdParts open_sd_parts(std::shared_ptr<const TensorSource> checkpoint, std::optional<bool> says_v2);

// The configuration files of a Diffusers folder with such a model, by their paths in it: model_index.json and the
// config.json of U-Net, VAE, text encoder and (DDIM) scheduler. `uses_linear_projection`: proj_in and proj_out of the
// U-Net are matrices in the folder.
std::vector<std::pair<std::string, std::string>> sd_diffusers_configs(const SdConfig& config,
                                                                      bool uses_linear_projection);
// The files of its tokenizer (the one of CLIP, embedded in the program).
std::vector<std::pair<std::string, std::string>> sd_tokenizer_files(bool is_v2);

}  // namespace difftune
