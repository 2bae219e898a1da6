#include "train/loss_average.h"

#include <gtest/gtest.h>

namespace difftune {
namespace {

TEST(LossAverage, FirstEpochIsTheMeanSoFar) {
  LossAverage average;
  EXPECT_EQ(average.average(), 0);
  average.add(0, 0, 1);
  average.add(0, 1, 2);
  EXPECT_EQ(average.average(), 1.5);
}

TEST(LossAverage, LaterEpochsReplaceTheLossAtTheSamePlace) {
  LossAverage average;
  for (const double loss : {1.0, 2.0, 3.0}) average.add(0, 0, loss);
  average.add(1, 1, 5);
  EXPECT_EQ(average.average(), 3);
}

TEST(LossAverage, PlacesNeverFilledCountAsZero) {
  LossAverage average;
  average.add(2, 3, 8);
  EXPECT_EQ(average.average(), 2);
}

TEST(LossAverage, StateGivesTheSameBitsAgain) {
  LossAverage whole, first;
  const auto loss = [](int64_t epoch, int64_t step) { return 0.1 + 0.013 * static_cast<double>(step * 7 + epoch); };
  for (int64_t epoch = 0; epoch < 3; ++epoch) {
    for (int64_t step = 0; step < 11; ++step) whole.add(epoch, step, loss(epoch, step));
  }
  for (int64_t step = 0; step < 11; ++step) first.add(0, step, loss(0, step));
  for (int64_t step = 0; step < 5; ++step) first.add(1, step, loss(1, step));
  LossAverage second;
  second.set_state(first.state());
  for (int64_t step = 5; step < 11; ++step) second.add(1, step, loss(1, step));
  for (int64_t step = 0; step < 11; ++step) second.add(2, step, loss(2, step));
  EXPECT_EQ(second.average(), whole.average());
}

}  // namespace
}  // namespace difftune
