// An image as the encoder or the model takes it.
#pragma once

#include <ATen/core/Tensor.h>

#include "data/buckets.h"
#include "data/dataset.h"

namespace difftune {

struct PreparedImage {
  at::Tensor pixels;      // [3, H, W] float32 in [-1, 1]
  at::Tensor alpha_mask;  // [H, W] float32 in [0, 1]; undefined unless the subset has alpha_mask
};

// Reads, resizes and cuts `image` to its bucket, the window's corner at `corner` in the resized image. Throws UserError
// that names the file if it cannot be read or is no longer of the size it had.
PreparedImage prepare_image(const Dataset& dataset, const ImageRecord& image, PointPx corner, bool flip,
                            bool reference_quirks);

// The corner of the window in the middle of the resized image.
PointPx centre_corner(const ImageRecord& image);

}  // namespace difftune
