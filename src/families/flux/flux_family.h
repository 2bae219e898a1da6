// FLUX.1 (dev, schnell) and Chroma.
#pragma once

#include <memory>

#include "families/flux/flux_config.h"
#include "families/model_family.h"

namespace difftune {

std::unique_ptr<ModelFamily> make_flux_family(std::shared_ptr<const TensorSource> checkpoint,
                                              const ModelRequest& request);
std::unique_ptr<ModelFamily> make_chroma_family(std::shared_ptr<const TensorSource> checkpoint,
                                                const ModelRequest& request);

}  // namespace difftune
