// A cursor over untrusted little-endian bytes that cannot read past their end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "base/error.h"
#include "base/files.h"

namespace difftune {

class ByteReader {
 public:
  // Reading past the end is a UserError that begins with `path`. `offset` may not lie behind the end either.
  ByteReader(std::span<const std::byte> bytes, const fs::path& path, size_t offset = 0) : bytes_(bytes), path_(path) {
    seek(offset);
  }

  template <typename T>
  T read() {
    T value;
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }
  std::string_view take(uint64_t num_bytes) {
    if (num_bytes > remaining()) {
      fail("{}: is damaged or truncated: {} bytes expected from byte {} on, {} found; copy or download it again",
           path_.string(), num_bytes, position_, remaining());
    }
    const auto* begin = reinterpret_cast<const char*>(bytes_.data()) + position_;
    position_ += num_bytes;
    return {begin, num_bytes};
  }
  // Up to the next newline, which is skipped.
  std::string_view line() {
    const std::string_view rest(reinterpret_cast<const char*>(bytes_.data()) + position_, remaining());
    const size_t length = rest.find('\n');
    if (length == rest.npos) fail("{}: is damaged or truncated at byte {}", path_.string(), position_);
    return take(length + 1).substr(0, length);
  }
  void skip(uint64_t num_bytes) { take(num_bytes); }
  void seek(uint64_t offset) {
    position_ = 0;
    take(offset);
  }
  size_t position() const { return position_; }
  size_t remaining() const { return bytes_.size() - position_; }
  const fs::path& path() const { return path_; }

 private:
  std::span<const std::byte> bytes_;
  const fs::path& path_;
  size_t position_ = 0;
};

}  // namespace difftune
