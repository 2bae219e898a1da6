// Draws the pictures of the demo: draw_zorbs FOLDER writes 10_zorb/zorb_01.png, zorb_01.txt, ..., from which it learns,
// and 1_shape/..., which keep what the base knows.
#include <fmt/format.h>

#include <array>
#include <cstdio>

#include "base/error.h"
#include "base/files.h"
#include "image/write_image.h"
#include "tiny_sd/draw_pictures.h"
#include "tiny_sd/tiny_model.h"

namespace difftune::tiny {
namespace {

constexpr int kNumShapes = 30;

void write_pair(const fs::path& stem, const Image& picture, const std::string& caption) {
  write_png(stem.string() + ".png", picture);
  write_file_atomically(stem.string() + ".txt", caption + "\n");
}

void draw_zorbs(const fs::path& folder) {
  fs::create_directories(folder);
  PythonRandom random(2026);
  int number = 0;
  for (size_t place = 0; place < places().size(); ++place) {
    // Each place on three backgrounds.
    for (const size_t shift : {size_t{0}, size_t{2}, size_t{3}}) {
      const size_t background = (place + shift) % background_colours().size();
      write_pair(
          folder / fmt::format("zorb_{:02}", ++number), paint_zorb(place, background, kPictureSizePx, random),
          fmt::format("a zorb {}, {} background", places()[place].phrase, background_colours()[background].name));
    }
  }
}

void draw_shapes(const fs::path& folder) {
  fs::create_directories(folder);
  PythonRandom random(2027);
  for (int number = 1; number <= kNumShapes; ++number) {
    Scene scene = draw_scene(random);
    scene.shape = static_cast<size_t>(number) % shapes().size();
    scene.background = static_cast<size_t>(number) % background_colours().size();
    write_pair(folder / fmt::format("shape_{:02}", number), paint(scene, kPictureSizePx, random), describe(scene));
  }
}

}  // namespace
}  // namespace difftune::tiny

int main(int argc, char** argv) {
  try {
    if (argc != 2) difftune::fail("usage: draw_zorbs FOLDER");
    const difftune::fs::path folder = argv[1];
    difftune::tiny::draw_zorbs(folder / "10_zorb");
    difftune::tiny::draw_shapes(folder / "1_shape");
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "draw_zorbs: {}\n", error.what());
    return 1;
  }
}
