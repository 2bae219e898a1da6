// Sizes and places in pixels.
#pragma once

#include <fmt/format.h>

#include <compare>
#include <cstdint>
#include <string>

namespace difftune {

struct SizePx {
  int width = 0;
  int height = 0;

  auto operator<=>(const SizePx&) const = default;
  int64_t area() const { return int64_t{width} * height; }
  double aspect() const { return static_cast<double>(width) / height; }
};

struct PointPx {
  int x = 0;
  int y = 0;

  auto operator<=>(const PointPx&) const = default;
};

// "512x768": width, then height.
inline std::string to_string(SizePx size) { return fmt::format("{}x{}", size.width, size.height); }

}  // namespace difftune
