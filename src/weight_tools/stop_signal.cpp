#include "weight_tools/stop_signal.h"

#include <signal.h>
#include <unistd.h>

#include "base/error.h"

namespace difftune {
namespace {

// A signal handler can reach nothing but a global.
volatile sig_atomic_t stop_count = 0;
struct sigaction previous_int, previous_term;

void on_stop(int signal) {
  stop_count = stop_count + 1;
  if (stop_count > 1) _exit(128 + signal);
}

}  // namespace

StopSignal::StopSignal() {
  stop_count = 0;
  struct sigaction action {};
  action.sa_handler = on_stop;
  sigaction(SIGINT, &action, &previous_int);
  sigaction(SIGTERM, &action, &previous_term);
}

StopSignal::~StopSignal() {
  sigaction(SIGINT, &previous_int, nullptr);
  sigaction(SIGTERM, &previous_term, nullptr);
}

void StopSignal::check() const {
  if (stop_count > 0) fail("stopped by a signal; nothing was written");
}

}  // namespace difftune
