// What a picture of the grammar shows, worked out from its pixels.
#pragma once

#include <optional>

#include "image/image.h"
#include "tiny_sd/draw_pictures.h"

namespace difftune::tiny {

// The background is the median along the border, the object all that differs from it; its mean colour, its centre of
// mass and, moved and scaled to each shape of the grammar, its overlap with them give the rest. Nothing where hardly
// anything differs from the background.
std::optional<Scene> read_picture(const Image& picture);

}  // namespace difftune::tiny
