#include "text/prompt_weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace difftune {
namespace {

using Parts = std::vector<WeightedText>;

TEST(PromptWeights, MultipliesNestedBrackets) {
  EXPECT_EQ(parse_prompt_weights("plain"), (Parts{{"plain", 1.0}}));
  EXPECT_EQ(parse_prompt_weights("an (important) word"), (Parts{{"an ", 1.0}, {"important", 1.1}, {" word", 1.0}}));
  EXPECT_EQ(parse_prompt_weights("[x]y"), (Parts{{"x", 1 / 1.1}, {"y", 1.0}}));
  EXPECT_EQ(parse_prompt_weights("((a:2))"), (Parts{{"a", 2.0 * 1.1}}));
}

TEST(PromptWeights, TakesBracketsThatAreNeverClosed) {
  EXPECT_EQ(parse_prompt_weights("(a"), (Parts{{"a", 1.1}}));
  EXPECT_EQ(parse_prompt_weights("a)b]"), (Parts{{"a)b]", 1.0}}));
  EXPECT_EQ(parse_prompt_weights(""), (Parts{{"", 1.0}}));
  EXPECT_EQ(parse_prompt_weights("("), (Parts{{"", 1.0}}));
}

TEST(PromptWeights, JoinsNeighboursOfOneWeight) {
  EXPECT_EQ(parse_prompt_weights("(a)(b)"), (Parts{{"ab", 1.1}}));
  EXPECT_EQ(parse_prompt_weights("a: b :c"), (Parts{{"a: b :c", 1.0}}));
}

TEST(PromptWeights, ReadsEscapedBrackets) {
  EXPECT_EQ(parse_prompt_weights(R"(\(a\) \[b\] \\ \c)"), (Parts{{R"((a) [b] \ c)", 1.0}}));
}

TEST(PromptWeights, ReadsWeights) {
  EXPECT_EQ(parse_prompt_weights("(a:+.5)"), (Parts{{"a", 0.5}}));
  EXPECT_EQ(parse_prompt_weights("(a:-2.)"), (Parts{{"a", -2.0}}));
  EXPECT_EQ(parse_prompt_weights("(a:１.２５)"), (Parts{{"a", 1.25}}));
  EXPECT_EQ(parse_prompt_weights("a:1.3)"), (Parts{{"a:1.3)", 1.0}}));
  EXPECT_EQ(parse_prompt_weights("(a:x)"), (Parts{{"a:x", 1.1}}));
}

TEST(PromptWeights, RefusesWhatIsNotANumber) {
  for (const std::string& weight : std::vector<std::string>{"1.2.3", ".", "+.", "..5", std::string(400, '9')}) {
    EXPECT_THROW(parse_prompt_weights("(a:" + weight + ")"), UserError) << weight;
  }
}

}  // namespace
}  // namespace difftune
