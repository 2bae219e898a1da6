// The progress bar of a run.
#pragma once

#include <fmt/format.h>

#include <optional>

#include "base/progress.h"
#include "train/listener.h"

namespace difftune {

class ProgressListener : public Listener {
 public:
  explicit ProgressListener(int64_t num_steps) : num_steps_(num_steps) {}
  void on_start(int64_t step) override { bar_.emplace("steps", num_steps_, "it", step); }
  void on_batch(const BatchReport& report) override {
    if (report.is_step_end) bar_->advance(1, fmt::format("avr_loss={:.4g}", report.average_loss));
  }
  void on_end(int64_t, int64_t, bool) override { bar_.reset(); }

 private:
  int64_t num_steps_;
  std::optional<Progress> bar_;
};

}  // namespace difftune
