// Draws the pictures that the demo learns from: draw_zorbs FOLDER writes zorb_01.png, zorb_01.txt, ...
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

void draw_zorbs(const fs::path& folder) {
  fs::create_directories(folder);
  PythonRandom random(2026);
  int number = 0;
  for (size_t place = 0; place < places().size(); ++place) {
    // Each place twice, on different backgrounds.
    for (const size_t shift : {size_t{0}, size_t{2}}) {
      const size_t background = (place + shift) % background_colours().size();
      const std::string name = fmt::format("zorb_{:02}", ++number);
      write_png(folder / (name + ".png"), paint_zorb(place, background, kPictureSizePx, random));
      write_file_atomically(folder / (name + ".txt"), fmt::format("a zorb {}, {} background\n", places()[place].phrase,
                                                                  background_colours()[background].name));
    }
  }
}

}  // namespace
}  // namespace difftune::tiny

int main(int argc, char** argv) {
  try {
    if (argc != 2) difftune::fail("usage: draw_zorbs FOLDER");
    difftune::tiny::draw_zorbs(argv[1]);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "draw_zorbs: {}\n", error.what());
    return 1;
  }
}
