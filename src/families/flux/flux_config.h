// The structure of FLUX.1 and Chroma, read from the shapes in a checkpoint.
#pragma once

#include <optional>
#include <string>

#include "models/chroma.h"
#include "models/flux.h"
#include "weights/tensor_source.h"

namespace difftune {

// What comes before the keys of the transformer: "model.diffusion_model." in all-in-one files, else nothing.
std::string flux_prefix(const TensorSource& checkpoint);

// The same in Diffusers' layout: "transformer." in a folder, else nothing; nullopt where the layout is another.
std::optional<std::string> flux_diffusers_prefix(const TensorSource& checkpoint);

bool is_flux(const TensorSource& checkpoint);
bool is_chroma(const TensorSource& checkpoint);

// Throw UserError where a tensor that shows the structure is missing.
FluxConfig read_flux_config(const TensorSource& checkpoint, const std::string& prefix);
ChromaConfig read_chroma_config(const TensorSource& checkpoint, const std::string& prefix);

}  // namespace difftune
