// Resizing with the results of OpenCV 4.10 and Pillow, which the reference uses.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "image/image.h"

namespace difftune {

// lanczos and box are Pillow's (RGBA is weighted by alpha); nearest is OpenCV's INTER_NEAREST_EXACT; linear, cubic and
// area are OpenCV's of those names (the channels of RGBA are independent).
enum class Interpolation { automatic, lanczos, box, nearest, linear, cubic, area };

// The values of --resize_interpolation: lanczos, nearest, bilinear or linear, bicubic or cubic, area, box; "" is
// automatic. Throws UserError that lists the choices.
Interpolation parse_interpolation(std::string_view name);

// `image` at width_px x height_px, both at least 1. `automatic` is area if neither side grows, else lanczos. An image
// of that size already is returned as it is.
Image resize(Image image, int width_px, int height_px, Interpolation interpolation = Interpolation::automatic);

}  // namespace difftune
