// Stable Diffusion 1.x and 2.x.
#pragma once

#include <memory>

#include "families/model_family.h"
#include "weights/tensor_source.h"

namespace difftune {

bool is_sd1(const TensorSource& checkpoint);
bool is_sd2(const TensorSource& checkpoint);
std::unique_ptr<ModelFamily> make_sd_family(std::shared_ptr<const TensorSource> checkpoint,
                                            const ModelRequest& request);

}  // namespace difftune
