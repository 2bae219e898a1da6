// The value of --resolution.
#pragma once

#include <cstdint>
#include <string_view>

namespace difftune {

struct Resolution {
  int64_t width_px = 0;
  int64_t height_px = 0;
};

// "512" is a square, "512,768" is width and height. Throws UsageError.
Resolution parse_resolution(std::string_view text);

}  // namespace difftune
