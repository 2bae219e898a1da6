// Pillow's resampling (internal to this library).
#pragma once

#include "image/image.h"

namespace difftune {

enum class PillowFilter { box, lanczos };

// Image.resize() of Pillow 13 for modes RGB and RGBA, byte for byte.
Image resize_pillow(const Image& image, int width_px, int height_px, PillowFilter filter);

}  // namespace difftune
