#include "train/tensorboard_writer.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/error.h"
#include "base/log.h"

namespace difftune {
namespace {

constexpr auto kCrc32cTable = [] {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0x82F63B78u : 0);
    table[i] = crc;
  }
  return table;
}();

// CRC-32C, rotated and shifted as TFRecord stores it.
uint32_t masked_crc32c(std::string_view data) {
  uint32_t crc = ~0u;
  for (const unsigned char byte : data) crc = (crc >> 8) ^ kCrc32cTable[(crc ^ byte) & 0xff];
  return std::rotr(~crc, 15) + 0xA282EAD8u;
}

static_assert(std::endian::native == std::endian::little);
template <typename T>
void append_bytes(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// A protocol buffer message, field by field.
class Message {
 public:
  Message& varint(int field, uint64_t value) {
    raw_varint(static_cast<uint64_t>(field) << 3);
    raw_varint(value);
    return *this;
  }
  Message& fixed(int field, double value) {
    raw_varint(static_cast<uint64_t>(field) << 3 | 1);
    append_bytes(bytes_, value);
    return *this;
  }
  Message& fixed(int field, float value) {
    raw_varint(static_cast<uint64_t>(field) << 3 | 5);
    append_bytes(bytes_, value);
    return *this;
  }
  // A string or a message.
  Message& bytes(int field, std::string_view value) {
    raw_varint(static_cast<uint64_t>(field) << 3 | 2);
    raw_varint(value.size());
    bytes_ += value;
    return *this;
  }
  const std::string& str() const { return bytes_; }

 private:
  void raw_varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
  }

  std::string bytes_;
};

// Field numbers of event.proto, summary.proto and tensor.proto.
std::string event_with_summary(int64_t step, const Message& summary_value) {
  const Message summary = Message().bytes(1, summary_value.str());
  return Message().varint(2, static_cast<uint64_t>(step)).bytes(5, summary.str()).str();
}

std::string record(std::string_view data) {
  std::string out;
  append_bytes(out, static_cast<uint64_t>(data.size()));
  append_bytes(out, masked_crc32c(out));
  out += data;
  append_bytes(out, masked_crc32c(data));
  return out;
}

double seconds_since_1970() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 && name[0] ? name.data() : "localhost";
}

// Creates the file with the first N that is free, and returns its descriptor.
int create_event_file(const fs::path& folder, fs::path& path) {
  const auto seconds = static_cast<int64_t>(seconds_since_1970());
  for (int n = 0;; ++n) {
    path = folder / fmt::format("events.out.tfevents.{:010}.{}.{}.{}", seconds, host_name(), getpid(), n);
    const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd >= 0) return fd;
    if (errno != EEXIST) fail("--logging_dir: {} cannot be created ({})", path.string(), std::strerror(errno));
  }
}

}  // namespace

fs::path tensorboard_folder(const TrackingOptions& tracking, std::string_view default_tracker, std::time_t started) {
  DT_CHECK(tracking.logging_dir, "no --logging_dir");
  return fs::path(*tracking.logging_dir) /
         fmt::format("{}{:%Y%m%d%H%M%S}", tracking.log_prefix.value_or(""), fmt::localtime(started)) /
         tracking.log_tracker_name.value_or(std::string(default_tracker));
}

TensorboardWriter::TensorboardWriter(const fs::path& folder) {
  require_writable_folder(folder, "--logging_dir");
  fd_ = create_event_file(folder, path_);
  add_event(Message().bytes(3, "brain.Event:2").str());
  flush();
}

TensorboardWriter::~TensorboardWriter() {
  flush();
  if (fd_ >= 0) close(fd_);
}

void TensorboardWriter::add_scalar(std::string_view tag, double value, int64_t step) {
  add_event(event_with_summary(step, Message().bytes(1, tag).fixed(2, static_cast<float>(value))));
}

void TensorboardWriter::add_text(std::string_view tag, std::string_view markdown, int64_t step) {
  constexpr int kString = 7;  // DataType.DT_STRING
  const Message shape = Message().bytes(2, Message().varint(1, 1).str());
  const Message tensor = Message().varint(1, kString).bytes(2, shape.str()).bytes(8, markdown);
  const Message metadata = Message().bytes(1, Message().bytes(1, "text").str());
  const std::string text_tag = fmt::format("{}/text_summary", tag);
  add_event(event_with_summary(step, Message().bytes(1, text_tag).bytes(8, tensor.str()).bytes(9, metadata.str())));
}

void TensorboardWriter::add_event(std::string_view body) {
  if (fd_ < 0) return;
  pending_ += record(Message().fixed(1, seconds_since_1970()).str() + std::string(body));
}

void TensorboardWriter::flush() {
  size_t done = 0;
  while (fd_ >= 0 && done < pending_.size()) {
    const ssize_t count = write(fd_, pending_.data() + done, pending_.size() - done);
    if (count >= 0) {
      done += static_cast<size_t>(count);
    } else if (errno != EINTR) {
      log::warning("{}: cannot be written ({}); the run goes on without curves from here", path_.string(),
                   std::strerror(errno));
      // What is left of a record that was cut off would make the file end in an error for its readers.
      if (ftruncate(fd_, static_cast<off_t>(num_bytes_written_)) != 0) {
        log::warning("{}: its last record is cut off ({})", path_.string(), std::strerror(errno));
      }
      close(fd_);
      fd_ = -1;
    }
  }
  num_bytes_written_ += done;
  pending_.clear();
}

}  // namespace difftune
