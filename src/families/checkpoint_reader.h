// Parameters of a model out of a checkpoint.
#pragma once

#include <memory>

#include "nn/parameter_scope.h"
#include "weights/tensor_source.h"

namespace difftune {

// Reads parameters from `source`, whose keys are the model's own paths, as `dtype` on `device`. A tensor that has this
// dtype already is used where it lies in the mapped file; pages of the others are dropped once they are converted.
// For fp32 on the CPU, large half-precision convolutions and tables keep the dtype of the file: they are for frozen
// models only, whose layers compute in the dtype of their input.
std::unique_ptr<nn::ParameterReader> make_checkpoint_reader(std::shared_ptr<const TensorSource> source,
                                                            c10::ScalarType dtype, c10::Device device);

}  // namespace difftune
