// What tells one set of weights from another without reading all of it.
#pragma once

#include <string>

#include "weights/tensor_source.h"

namespace difftune {

// 16 hex digits over the names and sizes of all tensors and the first values of some of them, spread over the file.
// Models that were trained apart, merged or converted to another dtype differ in it; copies do not.
std::string fingerprint(const TensorSource& source);

}  // namespace difftune
