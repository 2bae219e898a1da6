// Pixels to PNG files.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "image/image.h"

namespace difftune {

// Key and value of PNG text chunks, both UTF-8, e.g. {"parameters", "a cat Steps: 20, ..."}: tEXt where the value is
// Latin-1, else iTXt, as Pillow writes them. Keys are 1 to 79 Latin-1 characters.
using PngText = std::vector<std::pair<std::string, std::string>>;

// A PNG file's bytes: RGB or RGBA, 8 bits per channel.
std::string encode_png(const Image& image, const PngText& text = {});

// Writes encode_png() to `path` atomically. Throws UserError that names the path if it cannot be written.
void write_png(const std::filesystem::path& path, const Image& image, const PngText& text = {});

}  // namespace difftune
