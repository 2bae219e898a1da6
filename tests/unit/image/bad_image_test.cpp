#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "base/log.h"
#include "image/read_image.h"
#include "test_files.h"

namespace difftune {
namespace {

using std::string_literals::operator""s;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// Both ways of reading must fail with one line that begins with the file's name.
std::string error_of_content(const std::string& content) {
  const TemporaryFile file("bad.png", content);
  const std::string info_error = error_of([&] { read_image_info(file.path()); });
  const std::string error = error_of([&] { read_image(file.path()); });
  EXPECT_EQ(info_error, error);
  EXPECT_THAT(error, testing::StartsWith(file.path().string() + ": "));
  EXPECT_THAT(error, Not(HasSubstr("\n")));
  return error;
}

TEST(BadImage, OtherContentIsNamed) {
  const std::pair<std::string, const char*> cases[] = {
      {"", "an empty file (0 bytes)"},
      {"<!DOCTYPE html><html><body>404</body></html>", "an HTML page"},
      {"\n  <HTML>Not found", "an HTML page"},
      {"<svg xmlns=\"http://www.w3.org/2000/svg\"/>", "an SVG drawing"},
      {"a photo of sks dog\n", "a text file"},
      {"Blume: \xC3\xBC", "a text file"},
      {"PK\3\4 rest", "a ZIP archive"},
      {"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X"s, "a macOS resource file"},
      {"GIF89a\1\0\1\0"s, "a GIF image"},
      {"II*\0\x08\0\0\0"s, "a TIFF image"},
      {"\0\0\0\x18"
       "ftypheic\0\0\0\0mif1heic"s,
       "a HEIC image"},
      {"\0\0\0\x18"
       "ftypisom\0\0\0\0isommp42"s,
       "a video"},
      {"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"},
      {std::string(100, '\0'), "zero bytes"},
      {"\x80\x02\x8A\x0A\x6C"s, "begins with the bytes 80 02 8a 0a 6c"},
      {"BM says nothing about bitmaps", "a text file"},
  };
  for (const auto& [content, what] : cases) EXPECT_THAT(error_of_content(content), HasSubstr(what));
}

TEST(BadImage, MissingFilesAndFolders) {
  EXPECT_THAT(error_of([] { read_image_info("/nowhere/a.png"); }),
              AllOf(HasSubstr("/nowhere/a.png"), HasSubstr("No such file")));
  EXPECT_THAT(error_of([] { read_image("/nowhere/a.png"); }), HasSubstr("/nowhere/a.png"));
  EXPECT_THAT(error_of([] { read_image_info("/tmp"); }), HasSubstr("/tmp"));
  EXPECT_THAT(error_of([] { read_image("/tmp"); }), HasSubstr("/tmp"));
}

TEST(BadImage, TruncatedFilesSaySo) {
  for (const char* name :
       {"rgb.png", "interlaced.png", "ycc_420.jpg", "cmyk.jpg", "lossy.webp", "lossless.webp", "rgb.bmp"}) {
    const std::string content = read_file(data_file(name));
    const TemporaryFile file("half", content.substr(0, content.size() * 2 / 3));
    EXPECT_EQ(read_image_info(file.path()).width_px, 37) << name;
    EXPECT_THAT(error_of([&] { read_image(file.path()); }),
                AllOf(HasSubstr(file.path().string()), HasSubstr("cut off before the picture ends")))
        << name;
  }
}

// Any beginning of any file, and files with bytes overwritten, give a picture or a UserError.
TEST(BadImage, NothingElseComesOfDamage) {
  log::Settings quiet;
  quiet.level = log::Level::error;
  log::configure(quiet);
  for (const auto& entry : std::filesystem::directory_iterator(data_file(""))) {
    const std::string extension = entry.path().extension().string();
    if (extension != ".png" && extension != ".jpg" && extension != ".webp" && extension != ".bmp") continue;
    SCOPED_TRACE(entry.path());
    const std::string content = read_file(entry.path());
    for (size_t i = 0; i < 24; ++i) {
      std::string damaged = content;
      damaged[content.size() * i / 24] = '\xFF';
      for (const std::string& bytes : {content.substr(0, content.size() * i / 24), damaged}) {
        const TemporaryFile file("damaged", bytes);
        const std::string info_error = error_of([&] { read_image_info(file.path()); });
        const std::string error = error_of([&] { read_image(file.path(), i % 2 == 0); });
        if (!info_error.empty()) {
          EXPECT_EQ(error, info_error);
        }
      }
    }
  }
  log::configure({});
}

TEST(BadImage, BombsAreRefusedFromTheHeader) {
  std::string png = read_file(data_file("rgb.png"));
  const auto set_size = [&](const std::string& width_and_height) { png.replace(16, 8, width_and_height); };
  set_size("\0\0\x40\0\0\0\x40\0"s);  // 16384 x 16384
  EXPECT_THAT(error_of_content(png), AllOf(HasSubstr("16384 x 16384 pixels"), HasSubstr("178956970")));
  set_size("\x7F\xFF\xFF\xFF\x7F\xFF\xFF\xFF"s);
  EXPECT_THAT(error_of_content(png), HasSubstr("2147483647 x 2147483647 pixels"));
  set_size("\0\0\0\0\0\0\0\x10"s);
  EXPECT_THAT(error_of_content(png), HasSubstr("0 x 16 pixels"));
}

TEST(BadImage, UnreadKindsOfBmpAreNamed) {
  EXPECT_THAT(error_of([] { read_image(data_file("rle.bmp")); }), AllOf(HasSubstr("RLE"), HasSubstr("rle.bmp")));
}

#ifdef DIFFTUNE_HAS_AVIF
TEST(BadImage, DamagedAvif) {
  const std::string content = read_file(data_file("lossy.avif"));
  const TemporaryFile file("half.avif", content.substr(0, content.size() / 2));
  EXPECT_THAT(error_of([&] { read_image(file.path()); }), HasSubstr("the AVIF data is "));
}
#endif

}  // namespace
}  // namespace difftune
