// Progress of a long phase on stderr: count, rate, time left. On a terminal one line is redrawn; elsewhere (a GUI, a
// log file) a line is written at most every ten seconds, and at the end.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

namespace difftune {

class Progress {
 public:
  // `label` names the phase, e.g. "steps"; `total` is the number of `unit`s; `start` of them are already done.
  Progress(std::string label, int64_t total, std::string unit = "it", int64_t start = 0);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Thread-safe. `note` is shown behind the rate, e.g. "avr_loss=0.123".
  void advance(int64_t count = 1, std::string note = {});
  int64_t done() const { return done_; }

 private:
  void draw(bool last);

  std::mutex mutex_;
  std::string label_, unit_, note_;
  int64_t total_, start_, done_;
  bool terminal_;
  bool finished_ = false;
  std::chrono::steady_clock::time_point begun_, drawn_;
};

namespace detail {
// Ends a half-drawn progress line so that a log line does not run into it.
void interrupt_progress_line();
}  // namespace detail

}  // namespace difftune
