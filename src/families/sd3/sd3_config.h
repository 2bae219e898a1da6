// The structure of Stable Diffusion 3 and 3.5, read from the shapes in a checkpoint.
#pragma once

#include <string>

#include "models/mmdit.h"
#include "weights/tensor_source.h"

namespace difftune {

// What comes before the keys of the transformer: "model.diffusion_model.", or nothing.
std::string sd3_prefix(const TensorSource& checkpoint);
bool is_sd3(const TensorSource& checkpoint);
// Throws UserError where a tensor that shows the structure is missing.
MMDiTConfig read_sd3_config(const TensorSource& checkpoint, const std::string& prefix);

}  // namespace difftune
