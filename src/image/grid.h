// A labelled table of pictures, such as before and after training.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "image/image.h"

namespace difftune {

// A white RGB sheet with images[row][column] in cells as large as the largest image, separated by margins, row labels
// on the left and column labels above (either may be empty). Labels are drawn in a built-in bitmap font for ASCII,
// wrapped to their cell; other characters show as a box. Alpha is dropped.
Image make_grid(std::span<const std::vector<Image>> images, std::span<const std::string> row_labels,
                std::span<const std::string> column_labels);

}  // namespace difftune
