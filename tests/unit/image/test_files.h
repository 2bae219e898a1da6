// What several tests of this library share.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/files.h"
#include "base/sha256.h"
#include "image/image.h"

namespace difftune {

inline std::filesystem::path data_file(const std::string& name) {
  return std::filesystem::path(TEST_DATA_DIR) / "image" / name;
}

inline std::string hash_of(const Image& image) {
  return sha256_hex({reinterpret_cast<const char*>(image.pixels.data()), image.pixels.size()});
}

// A file in the system's temporary folder that goes with the object. (Not written atomically: thousands of syncs take
// their time.)
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& name, std::string_view content = {})
      : path_(std::filesystem::temp_directory_path() / ("difftune_" + std::to_string(getpid()) + "_" + name)) {
    std::ofstream(path_, std::ios::binary) << content;
  }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// The message of the UserError that `work` throws; "" if it throws none.
template <typename Work>
std::string error_of(Work&& work) {
  try {
    work();
  } catch (const UserError& error) {
    return error.what();
  }
  return "";
}

}  // namespace difftune
