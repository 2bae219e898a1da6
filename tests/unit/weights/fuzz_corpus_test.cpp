// The corpus of the fuzzer (tests/fuzz), replayed: valid files are taken, damaged ones refused, and nothing crashes.
#include <gtest/gtest.h>

#include "../../fuzz/fuzz_readers.h"
#include "base/files.h"

namespace difftune {
namespace {

TEST(FuzzCorpus, ValidFilesAreReadAndDamagedOnesRefused) {
  size_t num_valid = 0, num_damaged = 0;
  for (const auto& entry : fs::directory_iterator(PROJECT_DIR "/tests/fuzz/corpus")) {
    const std::string content = read_file(entry.path());
    const std::string name = entry.path().filename().string();
    bool was_read = false;
    ASSERT_NO_THROW(was_read = read_untrusted(std::as_bytes(std::span(content)))) << name;
    if (name.starts_with("valid")) {
      EXPECT_TRUE(was_read) << name;
      ++num_valid;
    }
    if (name.starts_with("damaged")) {
      EXPECT_FALSE(was_read) << name;
      ++num_damaged;
    }
  }
  EXPECT_GE(num_valid, 6u);
  EXPECT_GE(num_damaged, 6u);
}

}  // namespace
}  // namespace difftune
