// T5's tokenizer against T5TokenizerFast of transformers (tests/data/text/make_sentencepiece.py).
#include "text/t5_tokenizer.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "sentencepiece_corpus.h"

namespace difftune {
namespace {

using Ids = std::vector<int32_t>;

const T5Tokenizer& tokenizer() { return T5Tokenizer::builtin(); }

TEST(T5Tokenizer, ShownIdsOfTransformers) {
  const auto shown = nlohmann::json::parse(read_file(TEST_DATA_DIR "/text/sentencepiece_ids.json"))["t5"];
  ASSERT_FALSE(shown.empty());
  for (const auto& entry : shown) {
    EXPECT_EQ(tokenizer().encode(entry[0].get<std::string>()), entry[1].get<Ids>()) << entry[0];
  }
}

TEST(T5Tokenizer, EqualsTransformersOnCorpus) { expect_ids_of_corpus(tokenizer(), "t5"); }

// Expected ids: T5TokenizerFast of transformers 4.54.1.
TEST(T5Tokenizer, MarksInTheTextAreTheirIds) {
  EXPECT_EQ(tokenizer().encode(" a </s> b <extra_id_0> c"), (Ids{3, 9, 1, 3, 115, 32099, 3, 75}));
}

TEST(T5Tokenizer, RowKeepsEosWhereTextIsCut) {
  const Ids ids = tokenizer().encode("a photo of a cat");
  ASSERT_EQ(ids.size(), 7u);  // each "a" is a space and a letter

  const TokenRow padded = tokenizer().row("a photo of a cat", 9);
  Ids expected = ids;
  expected.insert(expected.end(), {T5Tokenizer::kEosId, 0});
  EXPECT_EQ(padded.ids, expected);
  EXPECT_EQ(padded.mask, (Ids{1, 1, 1, 1, 1, 1, 1, 1, 0}));
  EXPECT_EQ(padded.num_cut_tokens, 0);

  const TokenRow cut = tokenizer().row("a photo of a cat", 4);
  EXPECT_EQ(cut.ids, (Ids{ids[0], ids[1], ids[2], T5Tokenizer::kEosId}));
  EXPECT_EQ(cut.mask, (Ids{1, 1, 1, 1}));
  EXPECT_EQ(cut.num_cut_tokens, 4);

  EXPECT_EQ(tokenizer().row("", 3).ids, (Ids{T5Tokenizer::kEosId, 0, 0}));
}

TEST(T5Tokenizer, NamesTheByteThatIsNotUtf8) {
  try {
    tokenizer().encode("caf\xE9 au lait");
    FAIL();
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("byte 0xe9 at position 3"));
  }
  EXPECT_THROW(tokenizer().encode("\xED\xA0\x80"), UserError);
}

TEST(T5Tokenizer, RefusesAnotherModel) {
  const std::string path = TEST_DATA_DIR "/text/small_gemma.model";
  try {
    T5Tokenizer::from_file(path);
    FAIL();
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), testing::StartsWith(path + ": expected T5's tokenizer"));
  }
}

}  // namespace
}  // namespace difftune
