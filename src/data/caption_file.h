// The caption file beside an image.
#pragma once

#include <optional>
#include <string>

namespace difftune {

// The caption in STEM + `extension`, or, where an image's name ends in four more `_` parts (as face detection tools
// write them), in the shorter STEM + `extension`. The first line without white space at its ends; with `all_lines`
// every line that is not blank, joined by newlines. nullopt where there is no file. Throws UserError that names the
// file if it is empty or not UTF-8.
std::optional<std::string> read_caption(const std::string& image_path, const std::string& extension, bool all_lines);

}  // namespace difftune
