// Stable Diffusion XL.
#pragma once

#include <memory>

#include "families/model_family.h"
#include "families/sdxl/sdxl_config.h"
#include "weights/tensor_source.h"

namespace difftune {

std::unique_ptr<ModelFamily> make_sdxl_family(std::shared_ptr<const TensorSource> checkpoint,
                                              const ModelRequest& request);

}  // namespace difftune
