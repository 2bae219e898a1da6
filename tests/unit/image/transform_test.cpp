#include "image/transform.h"

#include <gtest/gtest.h>

namespace difftune {
namespace {

// Red is 10 * y + x.
Image numbered(int width_px, int height_px, int channels = 3) {
  Image image(width_px, height_px, channels);
  for (int y = 0; y < height_px; ++y) {
    for (int x = 0; x < width_px; ++x) image.row(y)[x * channels] = static_cast<uint8_t>(10 * y + x);
  }
  return image;
}

std::vector<int> reds(const Image& image) {
  std::vector<int> result;
  for (size_t i = 0; i < image.pixels.size(); i += static_cast<size_t>(image.channels)) {
    result.push_back(image.pixels[i]);
  }
  return result;
}

TEST(Transform, CropTakesTheRectangle) {
  const Image part = crop(numbered(4, 3), 1, 1, 2, 2);
  EXPECT_EQ(part.width_px, 2);
  EXPECT_EQ(reds(part), (std::vector<int>{11, 12, 21, 22}));
}

TEST(Transform, FlipExchangesLeftAndRight) {
  EXPECT_EQ(reds(flip_horizontal(numbered(3, 2, 4))), (std::vector<int>{2, 1, 0, 12, 11, 10}));
}

// The table of CIPA DC-008: where row 0 and column 0 of the stored pixels lie in the picture.
TEST(Transform, OrientationTurnsThePictureUpright) {
  const Image stored = numbered(2, 2);
  const std::vector<std::vector<int>> expected = {{0, 1, 10, 11}, {1, 0, 11, 10}, {11, 10, 1, 0}, {10, 11, 0, 1},
                                                  {0, 10, 1, 11}, {10, 0, 11, 1}, {11, 1, 10, 0}, {1, 11, 0, 10}};
  for (int orientation = 1; orientation <= 8; ++orientation) {
    EXPECT_EQ(reds(apply_exif_orientation(stored, orientation)), expected[static_cast<size_t>(orientation - 1)]);
  }
  const Image turned = apply_exif_orientation(numbered(3, 2), 6);
  EXPECT_EQ(turned.width_px, 2);
  EXPECT_EQ(reds(turned), (std::vector<int>{10, 0, 11, 1, 12, 2}));
}

TEST(Transform, DropAlphaKeepsColours) {
  Image image(1, 1, 4);
  image.pixels = {1, 2, 3, 0};
  EXPECT_EQ(drop_alpha(image).pixels, (std::vector<uint8_t>{1, 2, 3}));
}

}  // namespace
}  // namespace difftune
