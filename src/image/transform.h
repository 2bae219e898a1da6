// Cuts and mirror images.
#pragma once

#include "image/image.h"

namespace difftune {

// The rectangle of width_px x height_px whose upper left corner is (left_px, top_px); it must lie within the image.
Image crop(const Image& image, int left_px, int top_px, int width_px, int height_px);

// Left and right exchanged.
Image flip_horizontal(const Image& image);

// RGB of an RGBA (or RGB) image, not composited.
Image drop_alpha(const Image& image);

// The picture upright, given the EXIF orientation (1..8) it was stored with; 5..8 exchange width and height.
Image apply_exif_orientation(Image image, int orientation);

}  // namespace difftune
