#include "image/resize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "image/read_image.h"
#include "test_files.h"

namespace difftune {
namespace {

// The picture() of tests/data/image/make_resize.py.
Image picture(int width_px, int height_px, int channels, bool binary) {
  Image image(width_px, height_px, channels);
  for (uint32_t i = 0; i < image.pixels.size(); ++i) {
    uint32_t v = i * 2654435761u;
    v ^= v >> 15;
    v *= 2246822519u;
    v ^= v >> 13;
    image.pixels[i] = static_cast<uint8_t>(binary ? (v >> 31) * 255 : v >> 24);
  }
  return image;
}

// Every byte as in OpenCV 4.10 and Pillow 13.
TEST(Resize, EqualsOpenCvAndPillow) {
  std::ifstream file(data_file("resize/expected.txt"));
  int num_cases = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("#")) continue;
    std::string name, hash;
    int channels, binary, width, height, new_width, new_height;
    std::istringstream(line) >> name >> channels >> binary >> width >> height >> new_width >> new_height >> hash;
    const Image resized =
        resize(picture(width, height, channels, binary != 0), new_width, new_height, parse_interpolation(name));
    EXPECT_EQ(hash_of(resized), hash) << line;
    ++num_cases;
  }
  EXPECT_EQ(num_cases, 200);
}

// OpenCV's cubic is Intel's IPP, whose sums end on the other side of one half now and then.
TEST(Resize, CubicIsWithinOneOfOpenCv) {
  size_t num_samples = 0, num_different = 0;
  for (const auto& entry : std::filesystem::directory_iterator(data_file("resize"))) {
    if (entry.path().extension() != ".png") continue;
    int channels, binary, width, height, new_width, new_height;
    char separator;
    std::istringstream(entry.path().stem().string().substr(6)) >> channels >> separator >> binary >> separator >>
        width >> separator >> height >> separator >> new_width >> separator >> new_height;
    const Image expected = read_image(entry.path(), channels == 4);
    const Image resized =
        resize(picture(width, height, channels, binary != 0), new_width, new_height, Interpolation::cubic);
    ASSERT_EQ(resized.pixels.size(), expected.pixels.size()) << entry.path();
    for (size_t i = 0; i < resized.pixels.size(); ++i) {
      const int difference = std::abs(resized.pixels[i] - expected.pixels[i]);
      EXPECT_LE(difference, 1) << entry.path();
      num_different += difference != 0;
    }
    num_samples += resized.pixels.size();
  }
  EXPECT_GT(num_samples, 50000u);
  EXPECT_LT(num_different * 200, num_samples);
}

TEST(Resize, AutomaticIsAreaUnlessASideGrows) {
  const Image image = picture(60, 40, 3, false);
  EXPECT_EQ(resize(image, 50, 40), resize(image, 50, 40, Interpolation::area));
  EXPECT_EQ(resize(image, 61, 30), resize(image, 61, 30, Interpolation::lanczos));
}

TEST(Resize, TheSameSizeIsTheSameImage) {
  const Image image = picture(7, 5, 4, false);
  for (const char* name : {"", "lanczos", "box", "nearest", "linear", "cubic", "area"}) {
    EXPECT_EQ(resize(image, 7, 5, parse_interpolation(name)), image);
  }
}

TEST(Resize, AlphaWeighsColoursInLanczosOnly) {
  Image image(2, 1, 4);
  image.pixels = {200, 100, 50, 255, 0, 0, 0, 0};
  const Image lanczos = resize(image, 1, 1, Interpolation::lanczos);
  EXPECT_NEAR(lanczos.pixels[0], 200, 1);
  EXPECT_EQ(lanczos.pixels[3], 128);
  EXPECT_EQ(resize(image, 1, 1, Interpolation::area).pixels, (std::vector<uint8_t>{100, 50, 25, 128}));
}

TEST(Resize, InterpolationNames) {
  EXPECT_EQ(parse_interpolation("bilinear"), Interpolation::linear);
  EXPECT_EQ(parse_interpolation("bicubic"), Interpolation::cubic);
  EXPECT_EQ(parse_interpolation(""), Interpolation::automatic);
  EXPECT_THAT(error_of([] { parse_interpolation("lanczos4"); }),
              testing::AllOf(testing::HasSubstr("\"lanczos4\""), testing::HasSubstr("lanczos, nearest, bilinear")));
}

}  // namespace
}  // namespace difftune
