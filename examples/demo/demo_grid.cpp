// The same prompts and seeds without and with a LoRA: demo_grid MODEL.safetensors LORA.safetensors PROMPTS.txt OUT.png
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <sstream>

#include "adapters/lora.h"
#include "base/error.h"
#include "families/family_table.h"
#include "image/grid.h"
#include "image/write_image.h"
#include "tiny_sd/sample_pictures.h"
#include "weights/open_weights.h"

namespace difftune::tiny {
namespace {

constexpr int kZoom = 3;

std::vector<std::string> read_prompts(const fs::path& path) {
  std::istringstream lines(read_file(path));
  std::vector<std::string> prompts;
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty() && line[0] != '#') prompts.push_back(line);
  }
  if (prompts.empty()) fail("{}: holds no prompt; expected one a line", path.string());
  return prompts;
}

Image zoom(const Image& image) {
  Image large(image.width_px * kZoom, image.height_px * kZoom, image.channels);
  for (int y = 0; y < large.height_px; ++y) {
    for (int x = 0; x < large.width_px; ++x) {
      std::copy_n(image.row(y / kZoom) + image.channels * (x / kZoom), image.channels,
                  large.row(y) + image.channels * x);
    }
  }
  return large;
}

void draw_grid(const fs::path& model, const fs::path& lora, const fs::path& prompt_file, const fs::path& out) {
  const auto prompts = read_prompts(prompt_file);
  ModelRequest request;
  request.checkpoint = model;
  const auto family = open_model(request, "train_network", false);
  for (const Component part : {Component::text_encoders, Component::vae, Component::denoiser}) family->load(part);

  std::vector<std::vector<Image>> rows;
  const auto add_row = [&] {
    rows.emplace_back();
    for (const Image& picture : sample_pictures(*family, prompts, {})) rows.back().push_back(zoom(picture));
  };
  add_row();
  merge_lora_into(*open_weights(lora), family->adapter_targets(), 1.0);
  add_row();
  const std::array<std::string, 2> labels = {"without", "with the LoRA"};
  write_png(out, make_grid(rows, labels, prompts));
}

}  // namespace
}  // namespace difftune::tiny

int main(int argc, char** argv) {
  try {
    if (argc != 5) difftune::fail("usage: demo_grid MODEL.safetensors LORA.safetensors PROMPTS.txt OUT.png");
    difftune::tiny::draw_grid(argv[1], argv[2], argv[3], argv[4]);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "demo_grid: {}\n", error.what());
    return 1;
  }
}
