// Expected text: ftfy 6.3.1. The corpus of clip_tokenizer_test.cpp covers it widely; here is one case per step.
#include "text/fix_text.h"

#include <gtest/gtest.h>

#include "text/unicode.h"

namespace difftune {
namespace {

std::string fixed(std::string_view utf8) { return encode_utf8(fix_text(decode_utf8(utf8))); }

TEST(FixText, LeavesGoodTextAlone) {
  for (const char* text : {"", "plain", "Zwölf Boxkämpfer", "日本語", "à la mode", "¯\\_(ツ)_/¯", "½ × ² = ±"}) {
    EXPECT_EQ(fixed(text), text);
  }
}

TEST(FixText, UnescapesHtmlUnlessItIsHtml) {
  EXPECT_EQ(fixed("&lt;3 &amp;amp; &eacute;&NTILDE; &#x2713;"), "<3 & éÑ ✓");
  EXPECT_EQ(fixed("<b>&amp;</b>"), "<b>&amp;</b>");
  EXPECT_EQ(fixed("&amp;\n<\n&amp;"), "&\n<\n&amp;");
  EXPECT_EQ(fixed("AT&T &nosuchname; &#59; &#xD800;"), "AT&T &nosuchname; &#59; \uFFFD");
}

TEST(FixText, MendsMojibake) {
  EXPECT_EQ(fixed("sÃ³"), "só");
  EXPECT_EQ(fixed("âœ” No problems"), "✔ No problems");
  EXPECT_EQ(fixed("voilÃ le travail"), "voilà le travail");
  EXPECT_EQ(fixed("â€œlike thisâ€\uFFFD"), "\"like this\uFFFD");
  EXPECT_EQ(fixed("l’humanitÃ© 日本"), "l'humanité 日本");
  EXPECT_EQ(fixed("\u0085 \u0091quoted\u0092"), "… 'quoted'");
}

TEST(FixText, ReplacesFormsOfCharacters) {
  EXPECT_EQ(fixed("ﬂuﬃeﬆ ŉ"), "fluffiest 'n");
  EXPECT_EQ(fixed("ＬＯＵＤ　Ｕﾀｰﾝ"), "LOUD Uターン");
  EXPECT_EQ(fixed("“a” ‘b’"), "\"a\" 'b'");
  EXPECT_EQ(fixed("e\u0301"), "é");
}

TEST(FixText, CleansLinesAndControls) {
  EXPECT_EQ(fixed("a\r\nb\rc\u2028d"), "a\nb\nc\nd");
  EXPECT_EQ(fixed("\x1B[36;44mblue\x1B[0m"), "blue");
  EXPECT_EQ(fixed("\uFEFFa\x01\x7F\u206A b"), "a b");
  EXPECT_EQ(fixed("\xED\xA0\xBD\xED\xB8\x80 \xED\xA0\xBD"), "😀 \uFFFD");
}

}  // namespace
}  // namespace difftune
