#include "base/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>

namespace difftune {
namespace {

std::atomic<bool> line_is_open{false};

std::string clock_text(double seconds) {
  const auto s = static_cast<int64_t>(seconds + 0.5);
  if (s >= 3600) return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
  return fmt::format("{:02}:{:02}", s / 60, s % 60);
}

}  // namespace

void detail::interrupt_progress_line() {
  if (line_is_open.exchange(false)) std::fputc('\n', stderr);
}

Progress::Progress(std::string label, int64_t total, std::string unit, int64_t start)
    : label_(std::move(label)),
      unit_(std::move(unit)),
      total_(total),
      start_(start),
      done_(start),
      terminal_(isatty(STDERR_FILENO) != 0),
      begun_(std::chrono::steady_clock::now()),
      drawn_(begun_) {
  if (terminal_) draw(false);
}

Progress::~Progress() {
  std::lock_guard lock(mutex_);
  if (!finished_ && done_ > start_) draw(true);
}

void Progress::advance(int64_t count, std::string note) {
  std::lock_guard lock(mutex_);
  done_ += count;
  note_ = std::move(note);
  const bool last = done_ >= total_;
  const auto now = std::chrono::steady_clock::now();
  const auto interval = terminal_ ? std::chrono::milliseconds(100) : std::chrono::milliseconds(10000);
  if (!finished_ && (last || now - drawn_ >= interval)) {
    drawn_ = now;
    finished_ = last;
    draw(last);
  }
}

void Progress::draw(bool last) {
  const double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun_).count();
  const auto made = static_cast<double>(done_ - start_);
  const double rate = elapsed > 0 ? made / elapsed : 0;
  std::string text = fmt::format("{}: {:3}% {}/{} [{}<{}", label_, total_ > 0 ? done_ * 100 / total_ : 100, done_,
                                 total_, clock_text(elapsed),
                                 rate > 0 ? clock_text(static_cast<double>(total_ - done_) / rate) : std::string("?"));
  if (rate >= 1) {
    text += fmt::format(", {:.2f}{}/s", rate, unit_);
  } else if (rate > 0) {
    text += fmt::format(", {:.2f}s/{}", 1 / rate, unit_);
  }
  if (!note_.empty()) text += ", " + note_;
  text += "]";
  if (terminal_) {
    fmt::print(stderr, "\r{}\x1b[K{}", text, last ? "\n" : "");
    line_is_open = !last;
  } else {
    fmt::print(stderr, "{}\n", text);
  }
  std::fflush(stderr);
}

}  // namespace difftune
