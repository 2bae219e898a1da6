#include "image/resize.h"

#include <array>
#include <utility>

#include "base/error.h"
#include "image/resize_opencv.h"
#include "image/resize_pillow.h"

namespace difftune {

Interpolation parse_interpolation(std::string_view name) {
  static const std::array<std::pair<std::string, Interpolation>, 8> kNames = {{
      {"lanczos", Interpolation::lanczos},
      {"nearest", Interpolation::nearest},
      {"bilinear", Interpolation::linear},
      {"linear", Interpolation::linear},
      {"bicubic", Interpolation::cubic},
      {"cubic", Interpolation::cubic},
      {"area", Interpolation::area},
      {"box", Interpolation::box},
  }};
  if (name.empty()) return Interpolation::automatic;
  std::string choices;
  for (const auto& [known, value] : kNames) {
    if (known == name) return value;
    choices += (choices.empty() ? "" : ", ") + known;
  }
  fail("resize_interpolation \"{}\" is unknown; expected one of {}", name, choices);
}

Image resize(Image image, int width_px, int height_px, Interpolation interpolation) {
  DT_CHECK(!image.empty() && (image.channels == 3 || image.channels == 4), "{} channels", image.channels);
  DT_CHECK(width_px > 0 && height_px > 0, "{} x {}", width_px, height_px);
  if (width_px == image.width_px && height_px == image.height_px) return image;
  if (interpolation == Interpolation::automatic) {
    const bool shrinks = width_px <= image.width_px && height_px <= image.height_px;
    interpolation = shrinks ? Interpolation::area : Interpolation::lanczos;
  }
  switch (interpolation) {
    case Interpolation::lanczos:
      return resize_pillow(image, width_px, height_px, PillowFilter::lanczos);
    case Interpolation::box:
      return resize_pillow(image, width_px, height_px, PillowFilter::box);
    case Interpolation::nearest:
      return resize_nearest_exact(image, width_px, height_px);
    case Interpolation::linear:
      return resize_linear(image, width_px, height_px);
    case Interpolation::cubic:
      return resize_cubic(image, width_px, height_px);
    case Interpolation::area:
      return resize_area(image, width_px, height_px);
    case Interpolation::automatic:
      break;
  }
  return image;
}

}  // namespace difftune
