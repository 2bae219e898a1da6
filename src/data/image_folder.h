// The image files of a folder.
#pragma once

#include <string>
#include <vector>

#include "data/problems.h"
#include "image/read_image.h"

namespace difftune {

// Paths ("FOLDER/NAME") of the images directly in `folder`, sorted by bytes, as the reference lists them: by extension
// in all lower or all upper case, hidden files left out. Two images with the same stem would share caption and cache:
// that is a problem. Throws UserError where the folder does not exist.
std::vector<std::string> list_images(const std::string& folder, Problems& problems);

// "4 .txt, 1 .gif, 2 subfolders (a, b)": for an error about a folder without images. Throws as list_images().
std::string describe_folder(const std::string& folder);

// The image's header, read by `options`. An image that looks cut off is decoded to see whether it is. Throws UserError.
ImageInfo inspect_image(const std::string& path, ReadOptions options);

}  // namespace difftune
