#include "data/captions.h"

#include "test_data.h"

namespace difftune {
namespace {

using nlohmann::json;

std::optional<std::string> text_or_null(const json& value) {
  return value.is_null() ? std::nullopt : std::optional(value.get<std::string>());
}

SubsetConfig subset_from(const json& options) {
  SubsetConfig subset;
  subset.shuffle_caption = options.at("shuffle_caption");
  subset.caption_separator = options.at("caption_separator");
  subset.keep_tokens = options.at("keep_tokens");
  subset.keep_tokens_separator = options.at("keep_tokens_separator");
  subset.secondary_separator = text_or_null(options.at("secondary_separator"));
  subset.enable_wildcard = options.at("enable_wildcard");
  subset.caption_prefix = text_or_null(options.at("caption_prefix"));
  subset.caption_suffix = text_or_null(options.at("caption_suffix"));
  subset.caption_dropout_rate = options.at("caption_dropout_rate");
  subset.caption_dropout_every_n_epochs = options.at("caption_dropout_every_n_epochs");
  subset.caption_tag_dropout_rate = options.at("caption_tag_dropout_rate");
  subset.token_warmup_min = options.at("token_warmup_min");
  subset.token_warmup_step = options.at("token_warmup_step");
  return subset;
}

// Random captions under random options, with the reference's results and the generator's state after them.
TEST(Captions, AreThoseOfTheReference) {
  const json cases = read_json("expected_captions.json");
  ASSERT_GE(cases.size(), 200u);
  for (const auto& c : cases) {
    PythonRandom random(c.at("seed").get<uint64_t>());
    const CaptionMoment moment{c.at("epoch"), c.at("step"), c.at("max_train_steps")};
    const std::string caption = c.at("caption");
    EXPECT_EQ(process_caption(caption, subset_from(c.at("options")), moment, random), c.at("result")) << c.dump();
    EXPECT_EQ(random.random(), c.at("next").get<double>()) << c.dump();
  }
}

TEST(Captions, WithoutOptionsTheFirstLineStaysAsItIs) {
  PythonRandom random(1);
  const double untouched = PythonRandom(1).random();
  EXPECT_EQ(process_caption("a,b ,  c\nsecond", {}, {}, random), "a,b ,  c");
  EXPECT_EQ(random.random(), untouched);
}

TEST(Captions, WarmupGrowsToAllTokens) {
  SubsetConfig subset;
  subset.token_warmup_step = 10;
  const auto at_step = [&](int64_t step) {
    PythonRandom random(0);
    return process_caption("a, b, c, d, e, f", subset, {0, step, 0}, random);
  };
  EXPECT_EQ(at_step(0), "a");
  EXPECT_EQ(at_step(5), "a, b, c");
  EXPECT_EQ(at_step(10), "a, b, c, d, e, f");
}

}  // namespace
}  // namespace difftune
