// The loss that is shown beside the current one: its mean over the last epoch.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace difftune {

// In the first epoch the mean of all losses so far; later the loss at the same place of the epoch before is replaced,
// so that the mean is over a window of one epoch.
class LossAverage {
 public:
  // Everything there is, for a saved state; the total is kept because its rounding depends on the order of additions.
  struct State {
    std::vector<double> losses;  // by place in the epoch
    double total = 0;
  };

  // `epoch` counts from 0, `step` is the batch's place in it from 0. Places that were never filled count as 0.
  void add(int64_t epoch, int64_t step, double loss);
  // 0 before the first loss.
  double average() const;

  const State& state() const { return state_; }
  void set_state(State state) { state_ = std::move(state); }

 private:
  State state_;
};

}  // namespace difftune
