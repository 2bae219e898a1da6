// Lumina-Image 2.0.
#pragma once

#include <memory>

#include "families/lumina/lumina_config.h"
#include "families/model_family.h"

namespace difftune {

std::unique_ptr<ModelFamily> make_lumina_family(std::shared_ptr<const TensorSource> checkpoint,
                                                const ModelRequest& request);

}  // namespace difftune
