// Gemma's tokenizer against GemmaTokenizerFast of transformers (tests/data/text/make_sentencepiece.py). Gemma's own
// file is not part of the repository: a small one of its kind stands for it, and the test of the real one is skipped
// unless DIFFTUNE_TOKENIZERS names a folder that holds google_gemma-2-2b/tokenizer.model.
#include "text/gemma_tokenizer.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "sentencepiece_corpus.h"

namespace difftune {
namespace {

using Ids = std::vector<int32_t>;

const std::string kSmallModel = TEST_DATA_DIR "/text/small_gemma.model";

TEST(GemmaTokenizer, ShownIdsOfTransformers) {
  const auto shown = nlohmann::json::parse(read_file(TEST_DATA_DIR "/text/sentencepiece_ids.json"))["small_gemma"];
  const auto tokenizer = GemmaTokenizer::from_file(kSmallModel);
  ASSERT_FALSE(shown.empty());
  for (const auto& entry : shown) {
    EXPECT_EQ(tokenizer.encode(entry[0].get<std::string>()), entry[1].get<Ids>()) << entry[0];
  }
}

TEST(GemmaTokenizer, EqualsTransformersOnCorpus) {
  expect_ids_of_corpus(GemmaTokenizer::from_file(kSmallModel), "small_gemma");
}

TEST(GemmaTokenizer, EqualsTransformersOnCorpusWithGemma2) {
  const char* folder = std::getenv("DIFFTUNE_TOKENIZERS");
  const fs::path file = fs::path(folder != nullptr ? folder : "") / "google_gemma-2-2b" / "tokenizer.model";
  if (!fs::exists(file)) GTEST_SKIP() << "needs google_gemma-2-2b/tokenizer.model in $DIFFTUNE_TOKENIZERS";
  expect_ids_of_corpus(GemmaTokenizer::from_file(file), "gemma");
}

TEST(GemmaTokenizer, RowBeginsWithBosAndIsCutOnTheRight) {
  const auto tokenizer = GemmaTokenizer::from_file(kSmallModel);
  const Ids ids = tokenizer.encode("a photo");
  const TokenRow padded = tokenizer.row("a photo", static_cast<int>(ids.size()) + 3);
  Ids expected = {GemmaTokenizer::kBosId};
  expected.insert(expected.end(), ids.begin(), ids.end());
  expected.insert(expected.end(), 2, GemmaTokenizer::kPadId);
  EXPECT_EQ(padded.ids, expected);
  EXPECT_EQ(padded.mask.back(), 0);
  EXPECT_EQ(padded.mask[ids.size()], 1);

  const TokenRow cut = tokenizer.row("a photo", 2);
  EXPECT_EQ(cut.ids, (Ids{GemmaTokenizer::kBosId, ids[0]}));
  EXPECT_EQ(cut.num_cut_tokens, static_cast<int>(ids.size()) - 1);
}

TEST(GemmaTokenizer, SaysWhatAFileIsNot) {
  const auto message = [](std::string_view bytes) -> std::string {
    try {
      GemmaTokenizer(parse_sentencepiece_model(bytes, "x.model"), "x.model");
    } catch (const UserError& error) {
      return error.what();
    }
    return {};
  };
  EXPECT_THAT(message(""), testing::HasSubstr("x.model: not a SentencePiece model"));
  EXPECT_THAT(message("<!DOCTYPE html>"), testing::HasSubstr("x.model: not a SentencePiece model"));
  const std::string model = read_file(kSmallModel);
  EXPECT_THAT(message(model.substr(0, model.size() / 2)), testing::HasSubstr("x.model: not a SentencePiece model"));
  const std::string t5 = read_gzip(PROJECT_DIR "/assets/t5_v1_1_spiece.model.gz");
  EXPECT_THAT(message(t5), testing::StartsWith("x.model: expected Gemma's tokenizer, whose piece 1 is <eos>"));
}

}  // namespace
}  // namespace difftune
