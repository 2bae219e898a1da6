// Parameters of a model out of a checkpoint.
#pragma once

#include <memory>

#include "nn/parameter_scope.h"
#include "weights/tensor_source.h"

namespace difftune {

// Reads parameters from `source`, whose keys are the model's own paths, as `dtype` on `device`. A tensor that has this
// dtype already is used where it lies in the mapped file; pages of the others are dropped once they are converted.
// On the CPU large weights in half precision may keep the dtype of the file, and matrices of float8_e4m3fn do on every
// device: they are for frozen models only, whose layers compute in the dtype of their input.
std::unique_ptr<nn::ParameterReader> make_checkpoint_reader(std::shared_ptr<const TensorSource> source,
                                                            c10::ScalarType dtype, c10::Device device);

}  // namespace difftune
