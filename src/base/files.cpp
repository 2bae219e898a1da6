#include "base/files.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/error.h"

namespace difftune {
namespace {

std::string errno_text() { return std::strerror(errno); }

// Left alone, the kernel begins to write a file of gigabytes to the disk when it is complete.
constexpr uint64_t kBytesPerTransfer = 16 << 20;

constexpr std::string_view kTemporarySuffix = ".difftune-tmp";

fs::path temporary_beside(const fs::path& path) {
  fs::path result = path;
  result += fmt::format(".{}{}", getpid(), kTemporarySuffix);
  return result;
}

void sync_path(const fs::path& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  fsync(fd);
  close(fd);
}

fs::path folder_of(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

void write_all(int fd, const void* data, size_t num_bytes, const fs::path& path) {
  auto* p = static_cast<const char*>(data);
  while (num_bytes > 0) {
    const ssize_t n = ::write(fd, p, num_bytes);
    if (n < 0) {
      if (errno == EINTR) continue;
      fail("{}: cannot be written ({}); {} MiB are free there", path.string(), errno_text(),
           free_space_bytes(folder_of(path)) >> 20);
    }
    p += n;
    num_bytes -= static_cast<size_t>(n);
  }
}

}  // namespace

std::string read_file(const fs::path& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail("{}: cannot be read ({})", path.string(), errno_text());
  struct stat info {};
  if (fstat(fd, &info) == 0 && S_ISDIR(info.st_mode)) {
    close(fd);
    fail("{}: is a folder, expected a file", path.string());
  }
  std::string content;
  content.resize(static_cast<size_t>(info.st_size));
  size_t done = 0;
  while (true) {
    if (done == content.size()) content.resize(content.size() + 4096);
    const ssize_t n = read(fd, content.data() + done, content.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const std::string why = errno_text();
      close(fd);
      fail("{}: cannot be read ({})", path.string(), why);
    }
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  close(fd);
  content.resize(done);
  return content;
}

AtomicFile::AtomicFile(fs::path path, WrittenWhen written_when)
    : path_(std::move(path)), temporary_(temporary_beside(path_)), written_when_(written_when) {
  fd_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd_ < 0) fail("{}: cannot be written ({})", path_.string(), errno_text());
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) {
    close(fd_);
    unlink(temporary_.c_str());
  }
}

void AtomicFile::write(const void* data, size_t num_bytes) {
  write_all(fd_, data, num_bytes, path_);
  num_written_ += num_bytes;
  if (written_when_ == WrittenWhen::in_kernel || num_written_ - num_on_the_way_ < kBytesPerTransfer) return;
  // Starts the transfer and does not wait for it. A failure is no harm: it is tried again.
  sync_file_range(fd_, static_cast<off_t>(num_on_the_way_), static_cast<off_t>(num_written_ - num_on_the_way_),
                  SYNC_FILE_RANGE_WRITE);
  num_on_the_way_ = num_written_;
}

void AtomicFile::write_at(uint64_t offset, const void* data, size_t num_bytes) {
  if (pwrite(fd_, data, num_bytes, static_cast<off_t>(offset)) != static_cast<ssize_t>(num_bytes)) {
    fail("{}: cannot be written ({})", path_.string(), errno_text());
  }
}

void AtomicFile::commit() {
  DT_CHECK(fd_ >= 0, "commit() called twice on {}", path_.string());
  const bool synced = written_when_ == WrittenWhen::in_kernel || fsync(fd_) == 0;
  const std::string why = errno_text();
  const bool closed = close(fd_) == 0;
  fd_ = -1;
  if (!synced || !closed || rename(temporary_.c_str(), path_.c_str()) != 0) {
    const std::string reason = synced && closed ? errno_text() : why;
    unlink(temporary_.c_str());
    fail("{}: cannot be written ({})", path_.string(), reason);
  }
  if (written_when_ == WrittenWhen::on_disk) sync_path(folder_of(path_));
}

void write_file_atomically(const fs::path& path, std::string_view content) {
  AtomicFile file(path);
  file.write(content);
  file.commit();
}

void write_folder_atomically(const fs::path& path, const std::function<void(const fs::path&)>& fill) {
  const fs::path fresh = temporary_beside(path);
  fs::path old = path;
  old += fmt::format(".{}.old{}", getpid(), kTemporarySuffix);
  std::error_code ec;
  fs::remove_all(fresh, ec);
  fs::remove_all(old, ec);
  try {
    fs::create_directories(fresh);
    fill(fresh);
    for (const auto& entry : fs::directory_iterator(fresh)) sync_path(entry.path());
    sync_path(fresh);
    // Two folders cannot be exchanged portably in one step; the kernel's RENAME_EXCHANGE can, where it is supported.
    if (renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, path.c_str(), RENAME_EXCHANGE) == 0) {
      fs::remove_all(fresh, ec);
    } else {
      if (fs::exists(path)) fs::rename(path, old);
      fs::rename(fresh, path);
      fs::remove_all(old, ec);
    }
    sync_path(folder_of(path));
  } catch (const fs::filesystem_error& e) {
    fs::remove_all(fresh, ec);
    fail("{}: the folder cannot be written ({})", path.string(), e.code().message());
  } catch (...) {
    fs::remove_all(fresh, ec);
    throw;
  }
}

void remove_stale_temporaries(const fs::path& folder) {
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator(folder, ec)) {
    std::string name = entry.path().filename().string();
    if (!name.ends_with(kTemporarySuffix)) continue;
    name.resize(name.size() - kTemporarySuffix.size());
    if (name.ends_with(".old")) name.resize(name.size() - 4);
    const auto dot = name.rfind('.');
    if (dot == std::string::npos) continue;
    int pid = 0;
    const auto parsed = std::from_chars(name.data() + dot + 1, name.data() + name.size(), pid);
    const bool is_alive = parsed.ec == std::errc{} && pid > 0 && pid != getpid() && kill(pid, 0) == 0;
    if (!is_alive) fs::remove_all(entry.path(), ec);
  }
}

uint64_t free_space_bytes(const fs::path& folder) {
  std::error_code ec;
  fs::path existing = fs::absolute(folder, ec);
  while (!existing.empty() && !fs::exists(existing, ec) && existing != existing.parent_path()) {
    existing = existing.parent_path();
  }
  const auto space = fs::space(existing, ec);
  return ec ? 0 : space.available;
}

void require_writable_folder(const fs::path& folder, std::string_view option) {
  std::error_code ec;
  fs::create_directories(folder, ec);
  if (ec) fail("{} {}: the folder cannot be created ({})", option, folder.string(), ec.message());
  const fs::path probe = temporary_beside(folder / "probe");
  const int fd = open(probe.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) fail("{} {}: the folder is not writable ({})", option, folder.string(), errno_text());
  close(fd);
  unlink(probe.c_str());
}

MappedFile::MappedFile(const fs::path& path) : path_(path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail("{}: cannot be read ({})", path.string(), errno_text());
  struct stat info {};
  if (fstat(fd, &info) != 0 || S_ISDIR(info.st_mode)) {
    close(fd);
    fail("{}: is a folder, expected a file", path.string());
  }
  size_ = static_cast<size_t>(info.st_size);
  if (size_ > 0) {
    data_ = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data_ == MAP_FAILED) {
      close(fd);
      fail("{}: cannot be mapped ({})", path.string(), errno_text());
    }
  }
  close(fd);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(data_, size_);
}

void MappedFile::drop_pages(size_t offset, size_t num_bytes) const {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t begin = (offset + page - 1) / page * page;
  const size_t end = (offset + num_bytes) / page * page;
  if (end > begin) madvise(static_cast<char*>(data_) + begin, end - begin, MADV_DONTNEED);
}

}  // namespace difftune
