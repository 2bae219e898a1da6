// An autoencoder in a file of its own (--vae, --ae).
#pragma once

#include <memory>
#include <string_view>

#include "models/autoencoder_kl.h"
#include "weights/tensor_source.h"

namespace difftune {

struct VaeFile {
  std::shared_ptr<const TensorSource> tensors;  // under the model's names
  AutoencoderConfig config;
};

// Opens a file with the LDM or the Diffusers layout, with or without the prefix of a whole checkpoint, or a folder.
// Throws UserError that names the option.
VaeFile open_vae_file(const fs::path& path, std::string_view option = "--vae");

}  // namespace difftune
