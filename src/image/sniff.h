// What kind of file this is, by its first bytes (internal to this library).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "image/read_image.h"

namespace difftune {

// How many bytes from the beginning of a file the functions below want to see.
inline constexpr size_t kSniffBytes = 512;

// The image format whose signature `beginning` bears, if any.
std::optional<ImageFormat> sniff_image_format(std::span<const uint8_t> beginning);

// For an error message, what a file without such a signature is, e.g. "an HTML page".
std::string describe_content(std::span<const uint8_t> beginning);

}  // namespace difftune
