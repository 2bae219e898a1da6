// Parameters of a model out of a checkpoint.
#pragma once

#include <memory>

#include "nn/parameter_scope.h"
#include "weights/tensor_source.h"

namespace difftune {

// How weights in half precision are kept where the model computes in another dtype on the CPU. The layers convert them
// as they use them; only frozen models can be kept so.
enum class Storage {
  // For fp32 large convolutions and tables stay narrow: matrices, which are most of a small model, are used too often.
  narrow_where_large,
  // Matrices stay in the mapped file (those of float8_e4m3fn on a GPU as well), and convolutions narrow: for large
  // models, whose matrices are read for few rows at a time.
  as_in_file,
};

// Reads parameters from `source`, whose keys are the model's own paths, as `dtype` on `device`. A tensor that has this
// dtype already is used where it lies in the mapped file; pages of the others are dropped once they are converted.
std::unique_ptr<nn::ParameterReader> make_checkpoint_reader(std::shared_ptr<const TensorSource> source,
                                                            c10::ScalarType dtype, c10::Device device,
                                                            Storage storage = Storage::narrow_where_large);

}  // namespace difftune
