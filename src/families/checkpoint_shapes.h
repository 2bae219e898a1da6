// Sizes of a model read from the shapes in its checkpoint.
#pragma once

#include <string>

#include "weights/tensor_source.h"

namespace difftune {

// The length of a tensor's axis. Throws UserError where there is no such tensor or axis.
int64_t size_of(const TensorSource& source, const std::string& key, size_t axis);
// The number of axes of a tensor.
size_t num_axes(const TensorSource& source, const std::string& key);

// How many numbered parts, from 0 on, the keys show behind `prefix`: "layers.0.…", "layers.1.…" are two of "layers.".
// A gap is an error, so that a file with parts missing is not taken for a smaller model.
int64_t count_numbered(const TensorSource& source, const std::string& prefix);

// Whether any key begins so.
bool has_prefix(const TensorSource& source, const std::string& prefix);

}  // namespace difftune
