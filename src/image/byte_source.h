// Random access to the bytes of an image file, for reading headers (internal to this library).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <span>
#include <vector>

namespace difftune {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  virtual uint64_t size() const = 0;
  // Copies up to `num_bytes` from `offset` on; returns how many there were.
  virtual size_t read_at(uint64_t offset, void* out, size_t num_bytes) = 0;

  // True and `out` filled if all of it is there.
  template <size_t N>
  bool read_exactly(uint64_t offset, std::array<uint8_t, N>& out) {
    return read_at(offset, out.data(), N) == N;
  }
};

class MemoryBytes : public ByteSource {
 public:
  explicit MemoryBytes(std::span<const uint8_t> bytes) : bytes_(bytes) {}
  uint64_t size() const override { return bytes_.size(); }
  size_t read_at(uint64_t offset, void* out, size_t num_bytes) override;

 private:
  std::span<const uint8_t> bytes_;
};

// A file read in blocks of 4 KiB, so that a header costs one or two system calls. (Not mapped: a file that shrinks or a
// disk that fails would end the process.) Throws UserError that names the file.
class FileSource : public ByteSource {
 public:
  explicit FileSource(const std::filesystem::path& path);
  ~FileSource() override;
  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;
  uint64_t size() const override { return size_; }
  size_t read_at(uint64_t offset, void* out, size_t num_bytes) override;

 private:
  size_t read_file_at(uint64_t offset, void* out, size_t num_bytes);

  std::filesystem::path path_;
  int fd_ = -1;
  uint64_t size_ = 0, block_offset_ = 0;
  std::vector<uint8_t> block_;
};

// Integers in the byte order of the file format.
inline uint32_t big_endian_16(const uint8_t* p) { return static_cast<uint32_t>(p[0] << 8 | p[1]); }
inline uint32_t big_endian_32(const uint8_t* p) { return big_endian_16(p) << 16 | big_endian_16(p + 2); }
inline uint32_t little_endian_16(const uint8_t* p) { return static_cast<uint32_t>(p[1] << 8 | p[0]); }
inline uint32_t little_endian_24(const uint8_t* p) { return little_endian_16(p) | static_cast<uint32_t>(p[2]) << 16; }
inline uint32_t little_endian_32(const uint8_t* p) { return little_endian_16(p) | little_endian_16(p + 2) << 16; }

// Whether four (or so) ASCII characters stand at `p`.
inline bool has_tag(const uint8_t* p, std::string_view tag) { return std::memcmp(p, tag.data(), tag.size()) == 0; }

}  // namespace difftune
