// Captions that single text encoders do not say: the order of draws, and what becomes zero.
#include "train/text_dropout.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/ones.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace difftune {
namespace {

using testing::ElementsAre;

// As SD3 has it: two encoders in one array and one of its own.
std::vector<TextDropout> dropouts(double first, double second, double third) {
  return {{.rate = first, .encoder = 1, .parts = {{"both", 0, 2}, {"first mask"}}},
          {.rate = second, .encoder = 2, .parts = {{"both", 2}}},
          {.rate = third, .encoder = 3, .round = 1, .parts = {{"third"}}}};
}

Conditioning text() {
  return {{"both", at::ones({2, 3, 5})}, {"first mask", at::ones({2, 4}, at::kLong)}, {"third", at::ones({2, 3, 6})}};
}

std::function<double()> numbers(std::vector<double> values, size_t& num_taken) {
  return [values = std::move(values), &num_taken] { return values.at(num_taken++); };
}

double sum(const at::Tensor& tensor) { return tensor.sum().item<double>(); }

bool all(int) { return true; }

TEST(TextDropouts, AreDrawnSampleBySampleThenRoundByRound) {
  Conditioning said = text();
  size_t num_taken = 0;
  // Sample 0: first, second; sample 1: first, second; then the third for both.
  const auto three = dropouts(0.5, 0.5, 0.5);
  const DroppedRows rows = draw_dropped_rows(three, 2, all, numbers({0.1, 0.9, 0.9, 0.1, 0.9, 0.1}, num_taken));
  EXPECT_EQ(num_taken, 6u);
  EXPECT_THAT(rows, ElementsAre(ElementsAre(0), ElementsAre(1), ElementsAre(1)));
  drop_text(three, rows, said);
  const at::Tensor& both = said.at("both");
  EXPECT_EQ(sum(both[0].slice(1, 0, 2)), 0);
  EXPECT_EQ(sum(both[0].slice(1, 2)), 9);
  EXPECT_EQ(sum(both[1].slice(1, 0, 2)), 6);
  EXPECT_EQ(sum(both[1].slice(1, 2)), 0);
  EXPECT_EQ(sum(said.at("first mask")[0]), 0);
  EXPECT_EQ(sum(said.at("first mask")[1]), 4);
  EXPECT_EQ(sum(said.at("third")[0]), 18);
  EXPECT_EQ(sum(said.at("third")[1]), 0);
}

TEST(TextDropouts, RatesOfZeroAndAbsentEncodersDrawNothing) {
  size_t num_taken = 0;
  const auto rows = draw_dropped_rows(
      dropouts(0, 0.5, 0.5), 2, [](int encoder) { return encoder != 3; }, numbers({0.1, 0.9}, num_taken));
  EXPECT_EQ(num_taken, 2u);
  EXPECT_THAT(rows, ElementsAre(ElementsAre(), ElementsAre(0), ElementsAre()));
}

TEST(TextDropouts, PassTheGradientOfWhatIsSaid) {
  Conditioning said = text();
  const at::Tensor leaf = said.at("both").requires_grad_(true);
  drop_text(dropouts(0.5, 0, 0), {{0}, {}, {}}, said);
  said.at("both").sum().backward();
  EXPECT_EQ(sum(leaf.grad()[0]), 9);
  EXPECT_EQ(sum(leaf.grad()[1]), 15);
}

}  // namespace
}  // namespace difftune
