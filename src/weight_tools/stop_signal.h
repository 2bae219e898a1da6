// Ctrl-C and SIGTERM as a wish to stop that leaves nothing half-written; a second one ends the program at once.
#pragma once

namespace difftune {

class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  // Throws UserError where a signal has come.
  void check() const;
};

}  // namespace difftune
