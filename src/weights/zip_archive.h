// The part of the zip format that .npz files and PyTorch checkpoints use: stored and deflated entries, zip64.
// Format: PKWARE APPNOTE.TXT 6.3.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"

namespace difftune {

struct ZipEntry {
  std::string name;
  bool is_deflated = false;
  uint32_t crc = 0;
  size_t offset = 0;            // of the entry's bytes in the file
  size_t compressed_bytes = 0;  // as they lie in the file
  size_t num_bytes = 0;         // uncompressed
};

// Reads the directory of an archive that lies in memory or is mapped. Throws UserError that begins with `path`.
std::vector<ZipEntry> read_zip_directory(std::span<const std::byte> file, const fs::path& path);

// The uncompressed content of an entry, its CRC checked.
std::string read_zip_entry(std::span<const std::byte> file, const ZipEntry& entry, const fs::path& path);

// Writes stored entries one after another to an AtomicFile; an archive of 4 GiB or more becomes zip64. An entry of that
// size is a UserError.
class ZipWriter {
 public:
  // The content of every entry begins at a multiple of `alignment` bytes.
  explicit ZipWriter(const fs::path& path, size_t alignment = 1, WrittenWhen written_when = WrittenWhen::on_disk)
      : path_(path), file_(path, written_when), alignment_(alignment) {}
  // The entry's content is `head` followed by `body`.
  void add(std::string_view name, std::string_view head, std::span<const std::byte> body);
  // Writes the directory and puts the file in its place.
  void commit();

 private:
  fs::path path_;
  AtomicFile file_;
  std::string directory_;
  size_t alignment_;
  uint64_t position_ = 0;
  uint64_t num_entries_ = 0;
};

}  // namespace difftune
