#include "image/write_image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "image/grid.h"
#include "image/read_image.h"
#include "test_files.h"

namespace difftune {
namespace {

using std::string_literals::operator""s;
using testing::HasSubstr;

TEST(WriteImage, PngReadsBackTheSame) {
  for (const bool alpha : {false, true}) {
    const Image image = read_image(data_file("rgba.png"), alpha);
    const TemporaryFile file("written.png");
    write_png(file.path(), image);
    EXPECT_EQ(read_image(file.path(), alpha), image);
    EXPECT_EQ(read_image_info(file.path()).has_alpha, alpha);
  }
}

TEST(WriteImage, TextIsLatin1WherePossibleElseUtf8) {
  const std::string png =
      encode_png(Image(1, 1, 3), {{"parameters", "caf\xC3\xA9 Steps: 20"}, {"prompt", "\xE7\x8C\xAB"}, {"Empty", ""}});
  EXPECT_THAT(png, HasSubstr("tEXtparameters\0caf\xE9 Steps: 20"s));
  EXPECT_THAT(png, HasSubstr("iTXtprompt\0\0\0\0\0\xE7\x8C\xAB"s));
  EXPECT_THAT(png, HasSubstr("tEXtEmpty"));
}

TEST(WriteImage, FailureNamesThePath) {
  EXPECT_THAT(error_of([] { write_png("/nowhere/a.png", Image(1, 1, 3)); }), HasSubstr("/nowhere/a.png"));
}

Image filled(int width_px, int height_px, uint8_t value, int channels = 3) {
  Image image(width_px, height_px, channels);
  std::fill(image.pixels.begin(), image.pixels.end(), value);
  return image;
}

size_t count(const Image& image, uint8_t value) {
  return static_cast<size_t>(std::count(image.pixels.begin(), image.pixels.end(), value));
}

TEST(Grid, PicturesStandInEqualCells) {
  const std::vector<std::vector<Image>> images = {{filled(20, 10, 100), filled(8, 6, 150, 4)}, {filled(20, 10, 200)}};
  const Image sheet = make_grid(images, {}, {});
  EXPECT_EQ(sheet.width_px, 4 + 2 * (20 + 4));
  EXPECT_EQ(sheet.height_px, 4 + 2 * (10 + 4));
  EXPECT_EQ(count(sheet, 100), 20u * 10 * 3);
  EXPECT_EQ(count(sheet, 150), 8u * 6 * 3);
  EXPECT_EQ(sheet.row(4)[4 * 3], 100);
  EXPECT_EQ(sheet.row(4)[28 * 3], 150);
  EXPECT_EQ(sheet.row(18)[4 * 3], 200);
  EXPECT_EQ(count(sheet, 0), 0u);
}

TEST(Grid, LabelsAreDrawn) {
  const std::vector<std::vector<Image>> images = {{filled(64, 64, 100)}};
  const std::vector<std::string> row = {"x"}, column = {"I"};
  const Image sheet = make_grid(images, row, column);
  EXPECT_EQ(count(sheet, 100), 64u * 64 * 3);
  // The ink of an "I" (11 points) and an "x" (9 points), three samples each.
  EXPECT_EQ(count(sheet, 0), (11u + 9) * 3);
}

TEST(Grid, LongAndForeignLabelsFit) {
  const std::vector<std::vector<Image>> images = {{filled(32, 32, 100)}};
  const std::vector<std::string> row = {"W\xC3\xB6rter", ""}, column = {"many words that wrap", "unused column"};
  const Image sheet = make_grid(images, row, column);
  EXPECT_EQ(count(sheet, 100), 32u * 32 * 3);
  EXPECT_GT(count(sheet, 0), 0u);
  EXPECT_FALSE(make_grid({}, {}, {}).empty());
}

}  // namespace
}  // namespace difftune
