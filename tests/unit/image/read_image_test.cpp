#include "image/read_image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "image/transform.h"
#include "test_files.h"

namespace difftune {
namespace {

struct Expected {
  std::string name;
  int width_px = 0, height_px = 0;
  std::string rgb, rgba, upright;
};

std::vector<Expected> read_expected() {
  std::vector<Expected> result;
  std::ifstream file(data_file("expected.txt"));
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("#")) continue;
    Expected e;
    std::istringstream(line) >> e.name >> e.width_px >> e.height_px >> e.rgb >> e.rgba >> e.upright;
    result.push_back(e);
  }
  return result;
}

// Formats other than AVIF and JPEG XL decode to the same bytes everywhere.
TEST(ReadImage, PixelsEqualPillows) {
  const std::vector<Expected> files = read_expected();
  ASSERT_GT(files.size(), 50u);
  for (const Expected& file : files) {
    SCOPED_TRACE(file.name);
    const auto path = data_file(file.name);
    const ImageInfo info = read_image_info(path, ReadOptions::reference());
    EXPECT_EQ(info.width_px, file.width_px);
    EXPECT_EQ(info.height_px, file.height_px);
    const Image rgb = read_image(path, false, ReadOptions::reference());
    EXPECT_EQ(rgb.channels, 3);
    EXPECT_EQ(hash_of(rgb), file.rgb);
    const Image rgba = read_image(path, true, ReadOptions::reference());
    EXPECT_EQ(rgba.channels, 4);
    EXPECT_EQ(hash_of(rgba), file.rgba);
  }
}

TEST(ReadImage, ExifOrientationIsAppliedByDefault) {
  int num_turned = 0;
  for (const Expected& file : read_expected()) {
    if (!file.name.starts_with("orientation_")) continue;
    SCOPED_TRACE(file.name);
    const ImageInfo info = read_image_info(data_file(file.name));
    const Image image = read_image(data_file(file.name));
    EXPECT_EQ(hash_of(image), file.upright);
    EXPECT_EQ(info.width_px, image.width_px);
    EXPECT_EQ(info.height_px, image.height_px);
    EXPECT_EQ(info.exif_orientation, file.name[12] - '0');
    num_turned += info.exif_orientation > 1;
  }
  EXPECT_EQ(num_turned, 7 + 3 + 1);
}

// Decoders differ in rounding between versions; `decoded/` has Pillow's pixels, upright.
void expect_near_pillow(const std::string& name, int tolerance) {
  SCOPED_TRACE(name);
  const Image expected = read_image(data_file("decoded/" + name + ".png"), true);
  for (const bool keep_alpha : {true, false}) {
    const Image image = read_image(data_file(name), keep_alpha);
    const Image wanted = keep_alpha ? expected : drop_alpha(expected);
    ASSERT_EQ(image.width_px, wanted.width_px);
    ASSERT_EQ(image.pixels.size(), wanted.pixels.size());
    int worst = 0;
    for (size_t i = 0; i < image.pixels.size(); ++i) {
      worst = std::max(worst, std::abs(image.pixels[i] - wanted.pixels[i]));
    }
    EXPECT_LE(worst, tolerance);
  }
  const ImageInfo info = read_image_info(data_file(name));
  EXPECT_EQ(info.width_px, expected.width_px);
  EXPECT_EQ(info.height_px, expected.height_px);
}

#ifdef DIFFTUNE_HAS_AVIF
TEST(ReadImage, Avif) {
  for (const char* name : {"lossy.avif", "lossy_420.avif", "alpha.avif", "animated.avif"}) expect_near_pillow(name, 1);
  for (char orientation = '2'; orientation <= '8'; ++orientation) {
    expect_near_pillow(std::string("orientation_") + orientation + ".avif", 1);
  }
  EXPECT_TRUE(read_image_info(data_file("alpha.avif")).has_alpha);
  EXPECT_TRUE(read_image_info(data_file("animated.avif")).is_animated);
}
#endif

#ifdef DIFFTUNE_HAS_JXL
TEST(ReadImage, JpegXl) {
  for (const char* name : {"lossless.jxl", "alpha.jxl", "grey.jxl", "orientation_6.jxl"}) expect_near_pillow(name, 0);
  expect_near_pillow("lossy.jxl", 1);
  EXPECT_TRUE(read_image_info(data_file("alpha.jxl")).has_alpha);
}
#endif

TEST(ReadImage, SixteenBitGreyIsScaledUnlessTheReferenceIsFollowed) {
  const auto reds = [](const ReadOptions& options) {
    const Image image = read_image(data_file("grey_16_bit.png"), false, options);
    std::vector<int> result;
    for (size_t x = 0; x < 8; ++x) result.push_back(image.pixels[x * 3]);
    return result;
  };
  // The file begins with 0, 1, 127, 254, 255, 256, 511, 65535.
  EXPECT_EQ(reds({}), (std::vector<int>{0, 0, 0, 0, 0, 1, 1, 255}));
  EXPECT_EQ(reds(ReadOptions::reference()), (std::vector<int>{0, 1, 127, 254, 255, 255, 255, 255}));
}

TEST(ReadImage, InfoTellsFormatAlphaAndAnimation) {
  const auto info = [](const char* name) { return read_image_info(data_file(name)); };
  EXPECT_EQ(info("rgb.png").format, ImageFormat::png);
  EXPECT_EQ(info("ycc_420.jpg").format, ImageFormat::jpeg);
  EXPECT_EQ(info("lossy.webp").format, ImageFormat::webp);
  EXPECT_EQ(info("rgb.bmp").format, ImageFormat::bmp);
  for (const char* name : {"rgba.png", "grey_alpha.png", "palette_alpha.png", "grey_one_transparent.png",
                           "lossy_alpha.webp", "lossless_alpha.webp", "rgba_32_bit.bmp"}) {
    EXPECT_TRUE(info(name).has_alpha) << name;
  }
  for (const char* name : {"rgb.png", "palette.png", "grey.jpg", "lossy.webp", "lossless.webp", "rgb_32_bit.bmp"}) {
    EXPECT_FALSE(info(name).has_alpha) << name;
  }
  for (const char* name : {"animated.png", "animated.webp", "animated_lossy.webp"}) {
    EXPECT_TRUE(info(name).is_animated) << name;
  }
  EXPECT_FALSE(info("rgb.png").is_animated);
}

TEST(ReadImage, ContentCountsNotTheExtension) {
  const TemporaryFile file("jpeg_named.png", read_file(data_file("ycc_420.jpg")));
  EXPECT_EQ(read_image_info(file.path()).format, ImageFormat::jpeg);
  EXPECT_EQ(read_image(file.path()), read_image(data_file("ycc_420.jpg")));
}

TEST(ReadImage, ExifSurvivesJunkAndOtherSegments) {
  std::string jpeg = read_file(data_file("orientation_6.jpg"));
  jpeg.insert(2, "\xFF\xFE\x00\x06note\xFF\xFF", 10);  // a comment and fill bytes
  const TemporaryFile file("comment.jpg", jpeg);
  EXPECT_EQ(read_image_info(file.path()).exif_orientation, 6);
  EXPECT_EQ(read_image(file.path()), read_image(data_file("orientation_6.jpg")));
}

}  // namespace
}  // namespace difftune
