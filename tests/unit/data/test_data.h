// What the tests of this folder share: the picture folders of tests/data/data, and scratch folders.
#pragma once

#include <ATen/core/Tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "base/files.h"
#include "base/sha256.h"
#include "data/dataset_config.h"

namespace difftune {

inline const std::string kData = TEST_DATA_DIR "/data";

// Dataset files of the tests name their folders relative to tests/data/data.
class InDataFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    before_ = fs::current_path();
    fs::current_path(kData);
  }
  void TearDown() override { fs::current_path(before_); }

 private:
  fs::path before_;
};

// An empty folder that is removed at the end.
class ScratchFolder {
 public:
  ScratchFolder()
      : path_(fs::path(::testing::TempDir()) /
              fmt::format("difftune_data_{}_{}", getpid(),
                          ::testing::UnitTest::GetInstance()->current_test_info()->name())) {
    fs::remove_all(path_);
    fs::create_directories(path_);
  }
  ~ScratchFolder() { fs::remove_all(path_); }
  fs::path operator/(const std::string& name) const { return path_ / name; }
  std::string str() const { return path_.string(); }
  void write(const std::string& name, std::string_view content) const {
    fs::create_directories((path_ / name).parent_path());
    write_file_atomically(path_ / name, content);
  }
  // Copies of some pictures of tests/data/data, 64x64 and larger.
  void add_pictures(const std::string& folder, int count) const {
    fs::create_directories(path_ / folder);
    for (int i = 0; i < count; ++i) {
      fs::copy_file(kData + fmt::format("/pictures/plain/p{}.png", i % 5), path_ / folder / fmt::format("p{}.png", i));
    }
  }

 private:
  fs::path path_;
};

// The message of the UserError that `action` throws, "" where it throws none.
template <typename Action>
std::string error_of(const Action& action) {
  try {
    action();
  } catch (const UserError& error) {
    return error.what();
  }
  return "";
}

inline nlohmann::json read_json(const std::string& name) {
  return nlohmann::json::parse(read_file(kData + "/" + name));
}

// The first 16 hexadecimal digits of a tensor's SHA-256.
inline std::string hash_of(const at::Tensor& tensor) {
  const at::Tensor dense = tensor.contiguous();
  return sha256_hex({static_cast<const char*>(dense.const_data_ptr()), dense.nbytes()}).substr(0, 16);
}

}  // namespace difftune
