// Parameters of a model out of a checkpoint.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nn/parameter_scope.h"
#include "weights/tensor_source.h"

namespace difftune {

// How a frozen model's weights are kept beside what make_checkpoint_reader() says.
struct WeightStorage {
  // Matrices and kernels of layers become float8_e4m3fn, without a scale: values above 448 become 448.
  bool is_fp8 = false;
  // The other parameters (biases, norms, tables) are rounded to float8 as well, as the reference's model.to() does.
  bool rounds_all_to_fp8 = false;
  // Matrices and kernels below these paths stay in main memory, whatever the device.
  std::vector<std::string> paths_on_cpu = {};
};

// Reads parameters from `source`, whose keys are the model's own paths, as `dtype` on `device`. A tensor that has this
// dtype already is used where it lies in the mapped file; pages of the others are dropped once they are converted.
// On the CPU large weights in half precision may keep the dtype of the file, and matrices of float8_e4m3fn do on every
// device: they are for frozen models only, whose layers compute in the dtype of their input.
std::unique_ptr<nn::ParameterReader> make_checkpoint_reader(std::shared_ptr<const TensorSource> source,
                                                            c10::ScalarType dtype, c10::Device device,
                                                            WeightStorage storage = {});

}  // namespace difftune
