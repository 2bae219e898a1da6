// Files: read whole, mapped, and written so that a reader sees the old content or the new, never a part.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace difftune {

namespace fs = std::filesystem;

// The whole file. Throws UserError that names the path.
std::string read_file(const fs::path& path);

// When a file counts as written.
enum class WrittenWhen {
  on_disk,    // it outlives a power cut
  in_kernel,  // it outlives this program; the kernel brings it to the disk within half a minute. For what can be made
              // again
};

// A writer to PATH.<pid>.tmp in the same folder; commit() renames it over `path`. Destroyed without commit(),
// it removes the temporary file and leaves `path` as it was. Every failure is a UserError that names the path.
class AtomicFile {
 public:
  explicit AtomicFile(fs::path path, WrittenWhen written_when = WrittenWhen::on_disk);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  // Where commit() waits for the disk, that gets large files while they are written, so that there is little to wait
  // for.
  void write(const void* data, size_t num_bytes);
  void write(std::string_view data) { write(data.data(), data.size()); }
  // Overwrites bytes already written, e.g. a header whose hashes are known last.
  void write_at(uint64_t offset, const void* data, size_t num_bytes);
  void commit();

 private:
  fs::path path_, temporary_;
  WrittenWhen written_when_;
  int fd_ = -1;
  uint64_t num_written_ = 0, num_on_the_way_ = 0;  // bytes: given to the kernel, and of these sent to the disk
};

void write_file_atomically(const fs::path& path, std::string_view content);

// Runs `fill` on a fresh temporary folder beside `path`, syncs it, then puts it in the place of `path`
// (an existing folder there is replaced). A crash leaves the old folder or the new one.
void write_folder_atomically(const fs::path& path, const std::function<void(const fs::path&)>& fill);

// Removes temporary files and folders of write_* calls whose process is gone.
void remove_stale_temporaries(const fs::path& folder);

// Bytes that can still be written below `folder` (or its nearest existing parent).
uint64_t free_space_bytes(const fs::path& folder);

// Creates `folder` where missing and proves that a file can be written there. `option` names it in the error.
void require_writable_folder(const fs::path& folder, std::string_view option);

// A file mapped read-only. Pages are read when touched and can be dropped again.
class MappedFile {
 public:
  explicit MappedFile(const fs::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(data_), size_}; }
  const fs::path& path() const { return path_; }
  // Tells the kernel that the process does not need these bytes in memory any more (whole pages only).
  void drop_pages(size_t offset, size_t num_bytes) const;

 private:
  fs::path path_;
  void* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace difftune
