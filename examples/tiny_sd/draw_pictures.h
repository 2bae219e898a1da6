// Pictures drawn from a small grammar, with their captions: "a red circle on the left, white background".
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/python_random.h"
#include "image/image.h"

namespace difftune::tiny {

struct Colour {
  double red = 0, green = 0, blue = 0;  // 0 to 255
};

struct NamedColour {
  std::string_view name;
  Colour colour;
};

enum class Shape { circle, square, triangle, star, heart, ring };

struct NamedShape {
  std::string_view name;
  Shape shape;
};

struct NamedPlace {
  std::string_view phrase;  // "on the left"
  double x, y;              // of the centre, as parts of width and height
};

std::span<const NamedShape> shapes();
std::span<const NamedColour> object_colours();
std::span<const NamedColour> background_colours();
std::span<const NamedPlace> places();

// Indices into the tables above.
struct Scene {
  size_t shape = 0, colour = 0, place = 0, background = 0;
};

// Any scene whose object stands out from its background.
Scene draw_scene(PythonRandom& random);

// "a red circle on the left, white background".
std::string describe(const Scene& scene);
// The same; now and then without the place or the background, so that short prompts work as well.
std::string describe_loosely(const Scene& scene, PythonRandom& random);

// The words by which the captions of two scenes can differ: shapes, colours, backgrounds and the last words of places.
std::vector<std::string> telling_words();

// The scene with small variations of size, place and colour, anti-aliased: RGB, size_px squared.
Image paint(const Scene& scene, int size_px, PythonRandom& random);

// Whether (x, y), in units of the shape's radius around its centre with y downwards, lies inside.
bool contains(Shape shape, double x, double y);

// Shapes, stripes and dots of any colour at random: teaches the autoencoder more than the grammar needs.
Image paint_clutter(int size_px, PythonRandom& random);

// The concept of the demo, which no caption of the grammar mentions: a striped, purple and yellow creature with one
// eye and two antennae. `place` and `background` are indices into the tables above.
Image paint_zorb(size_t place, size_t background, int size_px, PythonRandom& random);

}  // namespace difftune::tiny
