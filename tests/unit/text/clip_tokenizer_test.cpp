#include "text/clip_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "base/error.h"
#include "corpus.h"

namespace difftune {
namespace {

using Ids = std::vector<int32_t>;

std::string repeated(std::string_view text, size_t num_bytes) {
  std::string result;
  while (result.size() < num_bytes) result += text;
  return result;
}

TEST(ClipTokenizer, EncodesPlainCaption) {
  EXPECT_EQ(ClipTokenizer::builtin().encode("a photo of a cat"), (Ids{320, 1125, 539, 320, 2368}));
  EXPECT_EQ(ClipTokenizer::builtin().encode(""), Ids{});
}

TEST(ClipTokenizer, EqualsTransformersOnCorpus) {
  const auto corpus = read_corpus(TEST_DATA_DIR "/text/clip_corpus.bin.gz");
  ASSERT_GE(corpus.size(), 10'000u);
  int num_different = 0;
  for (const auto& [text, ids] : corpus) {
    if (ClipTokenizer::builtin().encode(text) == ids) continue;
    if (++num_different <= 20) ADD_FAILURE() << "'" << text << "'";
  }
  EXPECT_EQ(num_different, 0) << "of " << corpus.size();
}

TEST(ClipTokenizer, PadsAsTheModelDoes) {
  EXPECT_EQ(ClipTokenizer::builtin().pad_id(), 49407);
  EXPECT_EQ(ClipTokenizer::builtin_sd2().pad_id(), 0);
  EXPECT_EQ(ClipTokenizer::builtin().bos_id(), 49406);
  EXPECT_EQ(ClipTokenizer::builtin().eos_id(), 49407);
}

// Expected ids: transformers with pad_token="!".
TEST(ClipTokenizer, QuirkOfSd2TakesExclamationMarksForPadding) {
  EXPECT_EQ(ClipTokenizer::builtin_sd2().encode("hello! world!!"), (Ids{3306, 256, 1002, 748}));
  EXPECT_EQ(ClipTokenizer::builtin_sd2_quirk().encode("hello! world!!"), (Ids{3306, 0, 1002, 0, 0}));
}

TEST(ClipTokenizer, EncodesLongTextInWellUnderASecond) {
  const auto begin = std::chrono::steady_clock::now();
  for (const char* unit : {"a", "word ", "é", "Ã©", "中", "&amp;", "!"}) {
    EXPECT_GT(ClipTokenizer::builtin().encode(repeated(unit, 100'000)).size(), 1000u);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(7));
}

TEST(ClipTokenizer, NamesTheByteThatIsNotUtf8) {
  try {
    ClipTokenizer::builtin().encode("caf\xE9 noir");
    FAIL();
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("byte 0xe9 at position 3"));
  }
  EXPECT_THROW(ClipTokenizer::builtin().encode("\xC0\x80"), UserError);
  EXPECT_THROW(ClipTokenizer::builtin().encode("\xF4\x90\x80\x80"), UserError);
  EXPECT_THROW(ClipTokenizer::builtin().encode("cut \xE2\x82"), UserError);
}

TEST(ClipTokenizer, IsSharedByThreads) {
  std::vector<Ids> results(4);
  {
    std::vector<std::jthread> threads;
    for (Ids& result : results) {
      threads.emplace_back([&result] { result = ClipTokenizer::builtin().encode("Ein schöner Tag, 2024!"); });
    }
  }
  for (const Ids& result : results) EXPECT_EQ(result, results[0]);
}

}  // namespace
}  // namespace difftune
