#include "image/byte_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/error.h"

namespace difftune {

size_t MemoryBytes::read_at(uint64_t offset, void* out, size_t num_bytes) {
  if (offset >= bytes_.size()) return 0;
  const size_t available = std::min<uint64_t>(num_bytes, bytes_.size() - offset);
  std::memcpy(out, bytes_.data() + offset, available);
  return available;
}

FileSource::FileSource(const std::filesystem::path& path) : path_(path) {
  fd_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd_ < 0) fail("{}: cannot be read ({})", path.string(), std::strerror(errno));
  struct stat status {};
  if (fstat(fd_, &status) != 0 || !S_ISREG(status.st_mode)) {
    close(fd_);
    fail("{}: is not a file, expected an image", path.string());
  }
  size_ = static_cast<uint64_t>(status.st_size);
}

FileSource::~FileSource() { close(fd_); }

size_t FileSource::read_file_at(uint64_t offset, void* out, size_t num_bytes) {
  size_t done = 0;
  while (done < num_bytes) {
    const ssize_t n =
        pread(fd_, static_cast<uint8_t*>(out) + done, num_bytes - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("{}: cannot be read ({})", path_.string(), std::strerror(errno));
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  return done;
}

size_t FileSource::read_at(uint64_t offset, void* out, size_t num_bytes) {
  constexpr size_t kBlockBytes = 4096;
  if (offset >= size_) return 0;
  if (num_bytes >= kBlockBytes) return read_file_at(offset, out, num_bytes);
  if (offset < block_offset_ || offset + num_bytes > block_offset_ + block_.size()) {
    block_.resize(kBlockBytes);
    block_.resize(read_file_at(offset, block_.data(), kBlockBytes));
    block_offset_ = offset;
  }
  const size_t available = std::min(num_bytes, block_.size());
  std::memcpy(out, block_.data() + (offset - block_offset_), available);
  return available;
}

}  // namespace difftune
