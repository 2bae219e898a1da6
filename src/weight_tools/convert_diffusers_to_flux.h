// A FLUX.1 transformer of a Diffusers folder as one file in Black Forest Labs' layout.
#pragma once

#include <optional>
#include <vector>

#include "weight_tools/checkpoint_output.h"

namespace difftune {

// `path`: a Diffusers model, its transformer folder, or one file of it: the first of several
// ("…-00001-of-00003.safetensors"), for which the others beside it are read too, or the only one. Throws UserError
// where a tensor is unknown, missing, or does not fit.
std::vector<TensorRecipe> plan_diffusers_to_flux(const fs::path& path, std::optional<c10::ScalarType> save_dtype);

}  // namespace difftune
