// Whether a model answers to its prompts: check_tiny_sd MODEL.safetensors GRID.png [NUMBER OF PICTURES]
// Draws pictures for prompts of the grammar, reads them again and prints how many show what was asked for.
#include <ATen/TensorOperators.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "base/error.h"
#include "families/family_table.h"
#include "image/grid.h"
#include "image/write_image.h"
#include "tiny_sd/read_picture.h"
#include "tiny_sd/sample_pictures.h"
#include "tiny_sd/tiny_model.h"

namespace difftune::tiny {
namespace {

constexpr size_t kRows = 4, kColumns = 6;
constexpr size_t kBatch = 20;

std::unique_ptr<ModelFamily> open_whole_model(const fs::path& path) {
  ModelRequest request;
  request.checkpoint = path;
  auto family = open_model(request, "train_network", false);
  for (const Component part : {Component::text_encoders, Component::vae, Component::denoiser}) family->load(part);
  return family;
}

struct Counts {
  int shape = 0, colour = 0, place = 0, background = 0, all = 0;

  void add(const Scene& asked, const std::optional<Scene>& seen) {
    if (!seen) return;
    const bool is_shape = asked.shape == seen->shape, is_colour = asked.colour == seen->colour;
    const bool is_place = asked.place == seen->place, is_background = asked.background == seen->background;
    shape += is_shape;
    colour += is_colour;
    place += is_place;
    background += is_background;
    all += is_shape && is_colour && is_place && is_background;
  }
  void print(const char* name, size_t total) const {
    const auto percent = [&](int count) { return 100.0 * count / static_cast<double>(total); };
    fmt::print("{} {}: shape {:.0f} %, colour {:.0f} %, place {:.0f} %, background {:.0f} %, all four {:.0f} %\n",
               total, name, percent(shape), percent(colour), percent(place), percent(background), percent(all));
  }
};

// How well read_picture reads what is painted, with and without the way through the autoencoder: the ceiling.
void check_reading(const ModelFamily& family, PythonRandom& random) {
  Counts painted, decoded;
  constexpr size_t kCount = 100;
  std::vector<Scene> scenes;
  std::vector<Image> pictures;
  for (size_t i = 0; i < kCount; ++i) {
    scenes.push_back(draw_scene(random));
    pictures.push_back(paint(scenes.back(), kPictureSizePx, random));
    painted.add(scenes.back(), read_picture(pictures.back()));
  }
  const at::Tensor originals = to_tensor(pictures);
  const at::Tensor again = family.decode_latents(family.encode_latents(originals));
  const auto returned = to_pictures(again);
  for (size_t i = 0; i < kCount; ++i) decoded.add(scenes[i], read_picture(returned[i]));
  painted.print("painted pictures", kCount);
  decoded.print("pictures through the autoencoder", kCount);
  fmt::print("autoencoder: mean absolute error {:.2f} of 255\n",
             (again - originals).abs().mean().item<double>() * 127.5);
}

void run(const fs::path& model, const fs::path& grid, size_t num_pictures) {
  const auto family = open_whole_model(model);
  PythonRandom random(7);
  check_reading(*family, random);
  Counts counts;
  std::vector<std::vector<Image>> shown(kRows);
  for (size_t done = 0; done < num_pictures; done += kBatch) {
    std::vector<Scene> scenes;
    std::vector<std::string> prompts;
    for (size_t i = 0; i < std::min(kBatch, num_pictures - done); ++i) {
      scenes.push_back(draw_scene(random));
      prompts.push_back(describe(scenes.back()));
    }
    const auto pictures = sample_pictures(*family, prompts, {.seed = 100 + done});
    for (size_t i = 0; i < pictures.size(); ++i) {
      counts.add(scenes[i], read_picture(pictures[i]));
      const size_t row = (done + i) / kColumns;
      if (row >= kRows) continue;
      shown[row].push_back(pictures[i]);
      fmt::print("row {} column {}: {}\n", row + 1, shown[row].size(), prompts[i]);
    }
  }
  write_png(grid, make_grid(shown, {}, {}));
  counts.print("generated pictures", num_pictures);
}

}  // namespace
}  // namespace difftune::tiny

int main(int argc, char** argv) {
  try {
    if (argc < 3) difftune::fail("usage: check_tiny_sd MODEL.safetensors GRID.png [NUMBER OF PICTURES]");
    const int count = argc > 3 ? std::atoi(argv[3]) : 100;
    if (count < 1) difftune::fail("{}: expected a number of pictures, 1 or more", argv[3]);
    difftune::tiny::run(argv[1], argv[2], static_cast<size_t>(count));
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "check_tiny_sd: {}\n", error.what());
    return 1;
  }
}
