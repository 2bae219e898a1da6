#include "train/loss_average.h"

#include <cstddef>

namespace difftune {

void LossAverage::add(int64_t epoch, int64_t step, double loss) {
  std::vector<double>& losses = state_.losses;
  if (epoch == 0) {
    losses.push_back(loss);
  } else {
    const auto place = static_cast<size_t>(step);
    if (losses.size() <= place) losses.resize(place + 1);
    state_.total -= losses[place];
    losses[place] = loss;
  }
  state_.total += loss;
}

double LossAverage::average() const {
  return state_.losses.empty() ? 0 : state_.total / static_cast<double>(state_.losses.size());
}

}  // namespace difftune
