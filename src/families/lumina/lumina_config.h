// The structure of Lumina-Image 2.0, read from the shapes in a checkpoint.
#pragma once

#include <string>

#include "models/nextdit.h"
#include "weights/tensor_source.h"

namespace difftune {

// What comes before the keys of the transformer: "model.diffusion_model." in all-in-one files (Neta), or nothing.
std::string lumina_prefix(const TensorSource& checkpoint);
bool is_lumina(const TensorSource& checkpoint);
// Throws UserError where a tensor that shows the structure is missing.
NextDiTConfig read_lumina_config(const TensorSource& checkpoint, const std::string& prefix);

}  // namespace difftune
