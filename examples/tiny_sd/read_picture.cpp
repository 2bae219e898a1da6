#include "tiny_sd/read_picture.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace difftune::tiny {
namespace {

constexpr double kDifference = 60;  // of a colour from the background, as a distance in RGB
constexpr double kSmallestObject = 0.01;

Colour colour_at(const Image& picture, int x, int y) {
  const uint8_t* pixel = picture.row(y) + 3 * x;
  return {double(pixel[0]), double(pixel[1]), double(pixel[2])};
}

double distance(const Colour& a, const Colour& b) {
  return std::sqrt((a.red - b.red) * (a.red - b.red) + (a.green - b.green) * (a.green - b.green) +
                   (a.blue - b.blue) * (a.blue - b.blue));
}

Colour border_median(const Image& picture) {
  std::array<std::vector<double>, 3> channels;
  for (int y = 0; y < picture.height_px; ++y) {
    for (int x = 0; x < picture.width_px; ++x) {
      if (x > 0 && y > 0 && x + 1 < picture.width_px && y + 1 < picture.height_px) continue;
      const Colour colour = colour_at(picture, x, y);
      channels[0].push_back(colour.red);
      channels[1].push_back(colour.green);
      channels[2].push_back(colour.blue);
    }
  }
  for (auto& values : channels) std::ranges::nth_element(values, values.begin() + std::ssize(values) / 2);
  const auto median = [](const std::vector<double>& values) { return values[values.size() / 2]; };
  return {median(channels[0]), median(channels[1]), median(channels[2])};
}

size_t nearest_colour(std::span<const NamedColour> colours, const Colour& colour) {
  const auto nearest = std::ranges::min_element(colours, {}, [&](const auto& c) { return distance(c.colour, colour); });
  return static_cast<size_t>(nearest - colours.begin());
}

struct Object {
  std::vector<std::pair<double, double>> points;
  double x = 0, y = 0;  // centre of mass
  Colour colour;        // mean
};

Object find_object(const Image& picture, const Colour& background) {
  Object object;
  for (int y = 0; y < picture.height_px; ++y) {
    for (int x = 0; x < picture.width_px; ++x) {
      const Colour colour = colour_at(picture, x, y);
      if (distance(colour, background) < kDifference) continue;
      object.points.emplace_back(x + 0.5, y + 0.5);
      object.colour.red += colour.red;
      object.colour.green += colour.green;
      object.colour.blue += colour.blue;
    }
  }
  const auto count = static_cast<double>(std::max<size_t>(1, object.points.size()));
  for (const auto& [x, y] : object.points) {
    object.x += x / count;
    object.y += y / count;
  }
  object.colour = {object.colour.red / count, object.colour.green / count, object.colour.blue / count};
  return object;
}

// A shape's area and centre of mass at radius 1.
struct Moments {
  double area = 0, x = 0, y = 0;
};

Moments moments_of(Shape shape) {
  constexpr double kStep = 0.02;
  Moments moments;
  for (double y = -1.2; y < 1.2; y += kStep) {
    for (double x = -1.2; x < 1.2; x += kStep) {
      if (!contains(shape, x, y)) continue;
      moments.area += kStep * kStep;
      moments.x += x * kStep * kStep;
      moments.y += y * kStep * kStep;
    }
  }
  return {moments.area, moments.x / moments.area, moments.y / moments.area};
}

// Intersection over union of the object with the shape of its own area and centre.
double overlap(const Object& object, Shape shape) {
  const Moments moments = moments_of(shape);
  const double area = static_cast<double>(object.points.size()), radius = std::sqrt(area / moments.area);
  const auto inside = std::ranges::count_if(object.points, [&](const auto& point) {
    return contains(shape, (point.first - object.x) / radius + moments.x,
                    (point.second - object.y) / radius + moments.y);
  });
  return static_cast<double>(inside) / (2 * area - static_cast<double>(inside));
}

}  // namespace

std::optional<Scene> read_picture(const Image& picture) {
  const Colour background = border_median(picture);
  const Object object = find_object(picture, background);
  const double num_pixels = picture.width_px * picture.height_px;
  if (static_cast<double>(object.points.size()) < kSmallestObject * num_pixels) return std::nullopt;
  Scene scene;
  scene.background = nearest_colour(background_colours(), background);
  scene.colour = nearest_colour(object_colours(), object.colour);
  const auto place = std::ranges::min_element(places(), {}, [&](const NamedPlace& p) {
    return std::hypot(p.x - object.x / picture.width_px, p.y - object.y / picture.height_px);
  });
  scene.place = static_cast<size_t>(place - places().begin());
  const auto shape = std::ranges::max_element(shapes(), {}, [&](const auto& s) { return overlap(object, s.shape); });
  scene.shape = static_cast<size_t>(shape - shapes().begin());
  return scene;
}

}  // namespace difftune::tiny
