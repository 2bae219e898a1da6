#include "data/caption_file.h"
#include "data/python_text.h"
#include "test_data.h"

namespace difftune {
namespace {

TEST(PythonText, StripAndLower) {
  EXPECT_EQ(python_strip(" \t\u3000a b\u00a0\x1c\n"), "a b");
  EXPECT_EQ(python_strip("\u2003"), "");
  EXPECT_EQ(python_strip("\u200b"), "\u200b");  // no white space to Python
  EXPECT_EQ(python_lower("ÀÉ ΑΣ ẞ İ"), "àé ας ß i̇");
  EXPECT_EQ(split("a,,b,", ","), (std::vector<std::string>{"a", "", "b", ""}));
  EXPECT_EQ(replace_all("aaa", "aa", "b"), "ba");
}

TEST(PythonText, FindsTheFirstBadByte) {
  EXPECT_EQ(find_invalid_utf8("日本"), std::string::npos);
  EXPECT_EQ(find_invalid_utf8("ab\xff"), 2u);
  EXPECT_EQ(find_invalid_utf8("\xe6\x97"), 0u);
}

TEST(CaptionFile, LinesAndMarks) {
  ScratchFolder folder;
  folder.write("a.txt", "\xef\xbb\xbf  first \r\n\r\n second\r");
  const std::string image = folder / "a.png";
  EXPECT_EQ(read_caption(image, ".txt", false), "first");
  EXPECT_EQ(read_caption(image, ".txt", true), "first\nsecond");
  EXPECT_EQ(read_caption(image, ".caption", false), std::nullopt);
  folder.write("face.txt", "shared");
  EXPECT_EQ(read_caption(folder / "face_1_2_3_4.png", ".txt", false), "shared");
  EXPECT_EQ(read_caption(folder / "face_2_3_4.png", ".txt", false), std::nullopt);
}

TEST(CaptionFile, BadFilesAreNamed) {
  ScratchFolder folder;
  folder.write("empty.txt", "");
  folder.write("latin.txt", "caf\xe9");
  EXPECT_THAT(error_of([&] { read_caption(folder / "empty.png", ".txt", false); }),
              testing::AllOf(testing::HasSubstr("empty.txt"), testing::HasSubstr("is empty")));
  EXPECT_THAT(error_of([&] { read_caption(folder / "latin.png", ".txt", false); }),
              testing::AllOf(testing::HasSubstr("latin.txt"), testing::HasSubstr("not UTF-8 (byte 3)")));
}

}  // namespace
}  // namespace difftune
