// Helpers of the tests in this folder.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/error.h"
#include "base/files.h"

namespace difftune {

inline fs::path data_file(const std::string& name) { return fs::path(TEST_DATA_DIR) / "weights" / name; }

// A folder of the running test's own, empty at its start and removed at its end.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    path_ =
        fs::temp_directory_path() / fmt::format("difftune_{}_{}_{}", test->test_suite_name(), test->name(), getpid());
    fs::remove_all(path_);
    fs::create_directories(path_);
  }
  ~TemporaryFolder() { fs::remove_all(path_); }
  fs::path operator/(const std::string& name) const { return path_ / name; }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// The text of the UserError that `act` throws, or "" where it throws none.
template <typename Act>
std::string error_of(const Act& act) {
  try {
    act();
  } catch (const UserError& e) {
    return e.what();
  }
  return "";
}

}  // namespace difftune
