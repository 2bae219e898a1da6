#include "train/interrupt.h"

#include <signal.h>
#include <unistd.h>

#include <cstring>

namespace difftune {
namespace {

// A signal handler can reach nothing but a global.
volatile sig_atomic_t interrupt_count = 0;
struct sigaction previous_int, previous_term;

void on_signal(int signal) {
  interrupt_count = interrupt_count + 1;
  if (interrupt_count > 1) _exit(128 + signal);
  const char message[] = "\nstopping after this step and saving; once more ends at once without saving\n";
  [[maybe_unused]] const auto written = write(STDERR_FILENO, message, std::strlen(message));
}

}  // namespace

InterruptGuard::InterruptGuard() {
  interrupt_count = 0;
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigaction(SIGINT, &action, &previous_int);
  sigaction(SIGTERM, &action, &previous_term);
}

InterruptGuard::~InterruptGuard() {
  sigaction(SIGINT, &previous_int, nullptr);
  sigaction(SIGTERM, &previous_term, nullptr);
}

bool InterruptGuard::is_requested() const { return interrupt_count > 0; }

}  // namespace difftune
