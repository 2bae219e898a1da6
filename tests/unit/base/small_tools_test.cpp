// SHA-256, nearest names, threads, progress and the log.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/nearest_name.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "base/sha256.h"

namespace difftune {
namespace {

TEST(Sha256, ExamplesOfTheStandard) {  // FIPS 180-4
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, InPieces) {
  Sha256 hash;
  for (const char c : std::string("abc")) hash.update(&c, 1);
  EXPECT_EQ(hash.hex(), sha256_hex("abc"));
}

TEST(NearestName, FindsTheLikelyOne) {
  const std::vector<std::string> names = {"network_dim", "network_alpha", "learning_rate", "seed"};
  EXPECT_EQ(nearest_name("netwrok_dim", names), "network_dim");
  EXPECT_EQ(nearest_name("learning_rate", names), "learning_rate");
  EXPECT_EQ(nearest_name("sed", names), "seed");
  EXPECT_EQ(nearest_name("batch_size", names), "");
  EXPECT_EQ(nearest_name("x", {}), "");
}

TEST(ParallelFor, CallsEachOnce) {
  for (const size_t threads : {0, 1, 3, 100}) {
    std::vector<std::atomic<int>> calls(50);
    parallel_for(
        calls.size(), [&](size_t i) { ++calls[i]; }, threads);
    EXPECT_TRUE(std::all_of(calls.begin(), calls.end(), [](const auto& n) { return n == 1; })) << threads;
  }
  parallel_for(0, [](size_t) { FAIL(); });
}

TEST(LargestFirst, KeepsTheOrderOfEqualOnes) {
  const std::vector<int64_t> sizes = {3, 9, 3, 12};
  EXPECT_THAT(largest_first(sizes.size(), [&](size_t i) { return sizes[i]; }), testing::ElementsAre(3, 1, 0, 2));
}

TEST(ParallelFor, AnExceptionStopsTheRest) {
  std::atomic<size_t> calls = 0;
  const auto work = [&](size_t i) {
    ++calls;
    if (i == 3) fail("three");
  };
  EXPECT_THROW(parallel_for(1000000, work, 2), UserError);
  EXPECT_LT(calls, 1000000u);
}

TEST(Check, NamesConditionPlaceAndReason) {
  try {
    DT_CHECK(1 > 2, "one is {}", 1);
    FAIL();
  } catch (const InternalError& error) {
    EXPECT_THAT(error.what(), testing::MatchesRegex(".*small_tools_test.cpp:[0-9]+: 1 > 2: one is 1"));
  }
}

TEST(Progress, WritesLinesWhereThereIsNoTerminal) {
  testing::internal::CaptureStderr();
  {
    Progress progress("steps", 4, "step", 1);
    progress.advance(2, "loss=0.5");
    EXPECT_EQ(progress.done(), 3);
    progress.advance();
  }
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_THAT(text, testing::HasSubstr("steps"));
  EXPECT_THAT(text, testing::HasSubstr("4/4"));
  EXPECT_THAT(text, testing::EndsWith("\n"));
}

TEST(Log, AFileThatCannotBeOpened) { EXPECT_THROW(log::configure({.file = "/proc/nowhere/log"}), UserError); }

TEST(Log, LinesGoToTheFileFromTheLevelOn) {
  const fs::path file = fs::temp_directory_path() / fmt::format("difftune_log_{}", getpid());
  log::configure({.level = log::Level::warning, .file = file.string(), .simple = true});
  EXPECT_FALSE(log::enabled(log::Level::info));
  log::info("unheard {}", 1);
  log::warning("heard {}", 2);
  const std::string text = read_file(file);
  fs::remove(file);
  EXPECT_THAT(text, testing::HasSubstr("warning heard 2\n"));
  EXPECT_THAT(text, testing::Not(testing::HasSubstr("unheard")));
}

}  // namespace
}  // namespace difftune
