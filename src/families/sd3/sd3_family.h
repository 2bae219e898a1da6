// Stable Diffusion 3 medium, 3.5 medium and 3.5 large.
#pragma once

#include <memory>

#include "families/model_family.h"
#include "families/sd3/sd3_config.h"

namespace difftune {

std::unique_ptr<ModelFamily> make_sd3_family(std::shared_ptr<const TensorSource> checkpoint,
                                             const ModelRequest& request);

}  // namespace difftune
