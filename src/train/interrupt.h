// Ctrl-C (and SIGTERM) as a request to stop at the end of the step in progress; a second one ends the program at once.
#pragma once

namespace difftune {

class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  bool is_requested() const;
};

}  // namespace difftune
