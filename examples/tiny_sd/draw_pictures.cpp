#include "tiny_sd/draw_pictures.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace difftune::tiny {
namespace {

constexpr std::array<NamedShape, 6> kShapes = {{{"circle", Shape::circle},
                                                {"square", Shape::square},
                                                {"triangle", Shape::triangle},
                                                {"star", Shape::star},
                                                {"heart", Shape::heart},
                                                {"ring", Shape::ring}}};

constexpr std::array<NamedColour, 8> kObjectColours = {{{"red", {215, 35, 35}},
                                                        {"orange", {245, 140, 20}},
                                                        {"yellow", {245, 220, 40}},
                                                        {"green", {40, 155, 60}},
                                                        {"blue", {35, 75, 215}},
                                                        {"purple", {130, 45, 170}},
                                                        {"pink", {245, 120, 190}},
                                                        {"brown", {120, 70, 30}}}};

constexpr std::array<NamedColour, 5> kBackgroundColours = {{{"white", {245, 245, 245}},
                                                            {"black", {20, 20, 20}},
                                                            {"grey", {150, 150, 150}},
                                                            {"sky", {150, 205, 240}},
                                                            {"sand", {225, 205, 160}}}};

constexpr std::array<NamedPlace, 5> kPlaces = {{{"on the left", 0.31, 0.5},
                                                {"on the right", 0.69, 0.5},
                                                {"at the top", 0.5, 0.31},
                                                {"at the bottom", 0.5, 0.69},
                                                {"in the centre", 0.5, 0.5}}};

constexpr int kSubsamples = 3;  // per pixel and axis

Colour vary(const Colour& colour, double amount, PythonRandom& random) {
  const auto channel = [&](double value) { return std::clamp(value + random.uniform(-amount, amount), 0.0, 255.0); };
  const double red = channel(colour.red), green = channel(colour.green);
  return {red, green, channel(colour.blue)};
}

// Half of them from the grammar.
Colour any_colour(PythonRandom& random) {
  if (random.random() < 0.5) return vary(kObjectColours[random.below(kObjectColours.size())].colour, 10, random);
  const double red = random.uniform(0, 255), green = random.uniform(0, 255);
  return {red, green, random.uniform(0, 255)};
}

Image flat(int size_px, const Colour& colour) {
  Image image(size_px, size_px, 3);
  const std::array<double, 3> channels = {colour.red, colour.green, colour.blue};
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    image.pixels[i] = static_cast<uint8_t>(std::lround(channels[i % 3]));
  }
  return image;
}

// A point in units of the radius around a centre, in pixels, turned by `angle`.
struct Frame {
  double x, y, radius, angle = 0;
};

// Blends colour_at(u, v) over every part of a pixel for which inside(u, v) holds; |u|, |v| <= reach.
template <typename Inside, typename ColourAt>
void paint_where(Image& image, const Frame& frame, double reach, Inside inside, ColourAt colour_at) {
  const double extent = frame.radius * reach * std::numbers::sqrt2;
  const int left = std::max(0, static_cast<int>(frame.x - extent)),
            top = std::max(0, static_cast<int>(frame.y - extent));
  const int right = std::min(image.width_px - 1, static_cast<int>(frame.x + extent));
  const int bottom = std::min(image.height_px - 1, static_cast<int>(frame.y + extent));
  const double cosine = std::cos(frame.angle) / frame.radius, sine = std::sin(frame.angle) / frame.radius;
  for (int y = top; y <= bottom; ++y) {
    for (int x = left; x <= right; ++x) {
      uint8_t* pixel = image.row(y) + 3 * x;
      std::array<double, 3> sum = {};
      for (int sample = 0; sample < kSubsamples * kSubsamples; ++sample) {
        const double dx = x + (sample % kSubsamples + 0.5) / kSubsamples - frame.x;
        const double dy = y + (sample / kSubsamples + 0.5) / kSubsamples - frame.y;
        const double u = cosine * dx + sine * dy, v = cosine * dy - sine * dx;
        const Colour colour =
            inside(u, v) ? colour_at(u, v) : Colour{double(pixel[0]), double(pixel[1]), double(pixel[2])};
        sum[0] += colour.red;
        sum[1] += colour.green;
        sum[2] += colour.blue;
      }
      for (int c = 0; c < 3; ++c) {
        pixel[c] = static_cast<uint8_t>(std::lround(sum[static_cast<size_t>(c)] / (kSubsamples * kSubsamples)));
      }
    }
  }
}

void paint_shape(Image& image, Shape shape, const Frame& frame, const Colour& colour) {
  paint_where(
      image, frame, 1.1, [shape](double u, double v) { return contains(shape, u, v); },
      [&colour](double, double) { return colour; });
}

bool in_triangle(double x, double y) { return y <= 0.75 && y >= -1 + std::abs(x) * 1.75; }

// Five points; the radius between two of them is 0.45 of that of a point.
bool in_star(double x, double y) {
  constexpr double kSector = 2 * std::numbers::pi / 5;
  const double angle = std::atan2(x, -y);  // from the upper point
  const double off = std::abs(std::remainder(angle, kSector));
  const double r = std::hypot(x, y), px = r * std::cos(off), py = r * std::sin(off);
  // The side from (1, 0) to the inner corner.
  const double cx = 0.45 * std::cos(kSector / 2), cy = 0.45 * std::sin(kSector / 2);
  return (px - 1) * cy - py * (cx - 1) <= 0;
}

bool in_heart(double x, double y) {
  const double u = x * 1.2, v = 0.15 - y * 1.2;
  const double inner = u * u + v * v - 1;
  return inner * inner * inner <= u * u * v * v * v;
}

}  // namespace

std::span<const NamedShape> shapes() { return kShapes; }
std::span<const NamedColour> object_colours() { return kObjectColours; }
std::span<const NamedColour> background_colours() { return kBackgroundColours; }
std::span<const NamedPlace> places() { return kPlaces; }

bool contains(Shape shape, double x, double y) {
  const double r = std::hypot(x, y);
  switch (shape) {
    case Shape::circle:
      return r <= 0.95;
    case Shape::square:
      return std::max(std::abs(x), std::abs(y)) <= 0.82;
    case Shape::triangle:
      return in_triangle(x, y);
    case Shape::star:
      return in_star(x, y);
    case Shape::heart:
      return in_heart(x, y);
    case Shape::ring:
      return r <= 1 && r >= 0.55;
  }
  return false;
}

Scene draw_scene(PythonRandom& random) {
  return {random.below(kShapes.size()), random.below(kObjectColours.size()), random.below(kPlaces.size()),
          random.below(kBackgroundColours.size())};
}

std::string describe(const Scene& scene) {
  return fmt::format("a {} {} {}, {} background", kObjectColours[scene.colour].name, kShapes[scene.shape].name,
                     kPlaces[scene.place].phrase, kBackgroundColours[scene.background].name);
}

std::string describe_loosely(const Scene& scene, PythonRandom& random) {
  std::string text = fmt::format("a {} {}", kObjectColours[scene.colour].name, kShapes[scene.shape].name);
  if (random.random() < 0.9) text += fmt::format(" {}", kPlaces[scene.place].phrase);
  if (random.random() < 0.85) text += fmt::format(", {} background", kBackgroundColours[scene.background].name);
  return text;
}

std::vector<std::string> telling_words() {
  std::vector<std::string> words;
  for (const auto& shape : kShapes) words.emplace_back(shape.name);
  for (const auto& colour : kObjectColours) words.emplace_back(colour.name);
  for (const auto& colour : kBackgroundColours) words.emplace_back(colour.name);
  for (const auto& place : kPlaces) words.emplace_back(place.phrase.substr(place.phrase.rfind(' ') + 1));
  return words;
}

namespace {

Frame frame_at(const NamedPlace& place, double radius, int size_px, PythonRandom& random) {
  const double x = place.x + random.uniform(-0.02, 0.02), y = place.y + random.uniform(-0.02, 0.02);
  return {x * size_px, y * size_px, radius * size_px};
}

}  // namespace

Image paint(const Scene& scene, int size_px, PythonRandom& random) {
  Image image = flat(size_px, vary(kBackgroundColours[scene.background].colour, 5, random));
  const Frame frame = frame_at(kPlaces[scene.place], random.uniform(0.24, 0.28), size_px, random);
  paint_shape(image, kShapes[scene.shape].shape, frame, vary(kObjectColours[scene.colour].colour, 10, random));
  return image;
}

Image paint_clutter(int size_px, PythonRandom& random) {
  Image image = flat(size_px, any_colour(random));
  const auto frame = [&](double smallest, double largest) {
    const double x = random.uniform(0, size_px), y = random.uniform(0, size_px);
    const double radius = random.uniform(smallest, largest) * size_px;
    return Frame{x, y, radius, random.uniform(0, 2 * std::numbers::pi)};
  };
  const int64_t num_shapes = random.randint(1, 3), num_dots = random.randint(0, 8);
  for (int64_t i = 0; i < num_shapes; ++i) {
    const Shape shape = kShapes[random.below(kShapes.size())].shape;
    const Frame where = frame(0.1, 0.35);
    const Colour first = any_colour(random), second = random.random() < 0.5 ? any_colour(random) : first;
    const double stripes = random.uniform(2, 6);
    paint_where(
        image, where, 1.1, [shape](double u, double v) { return contains(shape, u, v); },
        [&](double, double v) { return std::sin(v * stripes) > 0 ? first : second; });
  }
  for (int64_t i = 0; i < num_dots; ++i) {
    paint_shape(image, Shape::circle, frame(0.02, 0.07), any_colour(random));
  }
  return image;
}

Image paint_zorb(size_t place, size_t background, int size_px, PythonRandom& random) {
  Image image = flat(size_px, vary(kBackgroundColours[background].colour, 5, random));
  Frame body = frame_at(kPlaces[place], random.uniform(0.22, 0.25), size_px, random);
  body.y += 0.05 * size_px;  // room for the antennae
  const Colour purple{130, 45, 170}, yellow{250, 220, 40}, white{250, 250, 250}, black{15, 15, 15};
  const auto paint_dot = [&](double u, double v, double radius, const Colour& colour) {
    paint_shape(image, Shape::circle, {body.x + u * body.radius, body.y + v * body.radius, radius * body.radius},
                colour);
  };
  for (const double side : {-1.0, 1.0}) {
    paint_where(
        image, body, 1.5,
        [side](double u, double v) { return v < -0.6 && v > -1.2 && std::abs(u - side * (0.05 - 0.5 * v)) < 0.13; },
        [&](double, double) { return purple; });
    paint_dot(side * 0.68, -1.2, 0.25, yellow);
  }
  // Bands wider than a latent's 8 pixels.
  paint_where(
      image, body, 1.1, [](double u, double v) { return u * u / 0.95 + v * v <= 1; },
      [&](double, double v) { return std::cos(v * 4.2) > 0 ? yellow : purple; });
  paint_dot(0, -0.15, 0.45, white);
  paint_dot(0, -0.1, 0.22, black);
  return image;
}

}  // namespace difftune::tiny
