// Curves for TensorBoard: an event file that it can read while the run goes on.
// Format: TFRecord framing (tensorflow/core/lib/io/record_writer.h) around Event messages
// (tensorflow/core/util/event.proto).
#pragma once

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>

#include "base/files.h"
#include "options/groups/tracking.h"

namespace difftune {

// LOGGING_DIR/PREFIXyyyymmddHHMMSS/TRACKER in local time; TRACKER is --log_tracker_name or `default_tracker`.
fs::path tensorboard_folder(const TrackingOptions& tracking, std::string_view default_tracker, std::time_t started);

// Writes one new file, events.out.tfevents.SECONDS.HOST.PID.N. A run never fails for its curves: when a write fails
// later on (a full disk), a warning says so, the file ends with the last whole record, and no more is written.
class TensorboardWriter {
 public:
  // Creates `folder` where missing. Throws UserError where it cannot be written to.
  explicit TensorboardWriter(const fs::path& folder);
  ~TensorboardWriter();
  TensorboardWriter(const TensorboardWriter&) = delete;
  TensorboardWriter& operator=(const TensorboardWriter&) = delete;

  // One point of the curve `tag`; stored as float32.
  void add_scalar(std::string_view tag, double value, int64_t step);
  // A text in Markdown.
  void add_text(std::string_view tag, std::string_view markdown, int64_t step);
  // Hands what was added to the system; call it after each step.
  void flush();

  const fs::path& path() const { return path_; }

 private:
  void add_event(std::string_view body);

  fs::path path_;
  int fd_ = -1;
  uint64_t num_bytes_written_ = 0;
  std::string pending_;
};

}  // namespace difftune
