#include "train/tensorboard_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "options/train_network_options.h"
#include "train/logged_options.h"

namespace difftune {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

template <typename T>
T number_at(std::string_view data, size_t offset) {
  T value;
  std::memcpy(&value, data.data() + offset, sizeof value);
  return value;
}

// CRC-32C bit by bit, so that the writer's table is checked by other means.
uint32_t masked_crc32c(std::string_view data) {
  uint32_t crc = 0xffffffffu;
  for (const unsigned char byte : data) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? (crc >> 1) ^ 0x82F63B78u : crc >> 1;
  }
  crc = ~crc;
  return ((crc >> 15) | (crc << 17)) + 0xA282EAD8u;
}

// A protocol buffer field: its number and its content (8 bytes for a varint).
using Fields = std::multimap<int, std::string>;

uint64_t read_varint(std::string_view& data) {
  uint64_t value = 0;
  for (int shift = 0;; shift += 7) {
    const auto byte = static_cast<unsigned char>(data.at(0));
    data.remove_prefix(1);
    value |= static_cast<uint64_t>(byte & 127) << shift;
    if (byte < 128) return value;
  }
}

Fields fields_of(std::string_view data) {
  Fields fields;
  while (!data.empty()) {
    const uint64_t key = read_varint(data);
    std::string content;
    if ((key & 7) == 0) {
      const uint64_t value = read_varint(data);
      content.assign(reinterpret_cast<const char*>(&value), sizeof value);
    } else {
      const size_t size = (key & 7) == 1 ? 8 : (key & 7) == 5 ? 4 : read_varint(data);
      content = data.substr(0, size);
      EXPECT_EQ(content.size(), size);
      data.remove_prefix(size);
    }
    fields.emplace(static_cast<int>(key >> 3), content);
  }
  return fields;
}

std::string only(const Fields& fields, int number) {
  EXPECT_EQ(fields.count(number), 1u) << "field " << number;
  const auto found = fields.find(number);
  return found == fields.end() ? std::string(8, '\0') : found->second;
}

std::vector<Fields> events_in(const fs::path& path) {
  const std::string content = read_file(path);
  const std::string_view data = content;
  std::vector<Fields> events;
  for (size_t i = 0; i < data.size();) {
    const auto size = number_at<uint64_t>(data, i);
    EXPECT_EQ(number_at<uint32_t>(data, i + 8), masked_crc32c(data.substr(i, 8)));
    EXPECT_EQ(number_at<uint32_t>(data, i + 12 + size), masked_crc32c(data.substr(i + 12, size)));
    events.push_back(fields_of(data.substr(i + 12, size)));
    i += 12 + size + 4;
  }
  return events;
}

class TensorboardWriterTest : public testing::Test {
 protected:
  TensorboardWriterTest() { fs::remove_all(folder_); }
  ~TensorboardWriterTest() override { fs::remove_all(folder_); }

  const fs::path folder_ = fs::path(testing::TempDir()) / fmt::format("difftune_tensorboard_{}", getpid());
};

TEST_F(TensorboardWriterTest, KnownChecksum) {
  // CRC-32C of "123456789" is E3069283 (RFC 3720 lists the polynomial; this is its usual check value).
  EXPECT_EQ(masked_crc32c("123456789"), ((0xE3069283u >> 15) | (0xE3069283u << 17)) + 0xA282EAD8u);
}

TEST_F(TensorboardWriterTest, NameAndFirstEvent) {
  const TensorboardWriter writer(folder_ / "20260101000000" / "network_train");
  EXPECT_THAT(writer.path().filename().string(),
              MatchesRegex(fmt::format("events\\.out\\.tfevents\\.[0-9]{{10}}\\..+\\.{}\\.0", getpid())));
  const std::vector<Fields> events = events_in(writer.path());
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(only(events[0], 3), "brain.Event:2");
  EXPECT_NEAR(number_at<double>(only(events[0], 1), 0), static_cast<double>(std::time(nullptr)), 60);
}

TEST_F(TensorboardWriterTest, ScalarsAreThereAfterAFlush) {
  TensorboardWriter writer(folder_);
  writer.add_scalar("loss/current", 0.125, 1);
  writer.add_scalar("lr/unet", 1e-4, 300);
  writer.add_scalar("loss/current", std::nan(""), 301);
  writer.flush();
  const std::vector<Fields> events = events_in(writer.path());
  ASSERT_EQ(events.size(), 4u);
  const auto value_of = [](const Fields& event) { return fields_of(only(fields_of(only(event, 5)), 1)); };
  EXPECT_EQ(number_at<uint64_t>(only(events[1], 2), 0), 1u);
  EXPECT_EQ(only(value_of(events[1]), 1), "loss/current");
  EXPECT_EQ(number_at<float>(only(value_of(events[1]), 2), 0), 0.125f);
  EXPECT_EQ(number_at<uint64_t>(only(events[2], 2), 0), 300u);
  EXPECT_EQ(number_at<float>(only(value_of(events[2]), 2), 0), 1e-4f);
  EXPECT_TRUE(std::isnan(number_at<float>(only(value_of(events[3]), 2), 0)));
}

TEST_F(TensorboardWriterTest, TextCarriesThePluginName) {
  TensorboardWriter writer(folder_);
  writer.add_text("options", "| a | b |", 0);
  writer.flush();
  const Fields value = fields_of(only(fields_of(only(events_in(writer.path()).at(1), 5)), 1));
  EXPECT_EQ(only(value, 1), "options/text_summary");
  EXPECT_EQ(only(fields_of(only(value, 8)), 8), "| a | b |");
  EXPECT_EQ(only(fields_of(only(fields_of(only(value, 9)), 1)), 1), "text");
}

TEST_F(TensorboardWriterTest, EachWriterHasAFileOfItsOwn) {
  const TensorboardWriter first(folder_), second(folder_);
  EXPECT_NE(first.path(), second.path());
}

TEST_F(TensorboardWriterTest, AFolderThatIsAFileIsRefused) {
  write_file_atomically(folder_, "not a folder");
  try {
    TensorboardWriter writer(folder_ / "logs");
    FAIL();
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("--logging_dir"));
    EXPECT_THAT(error.what(), HasSubstr(folder_.string()));
  }
}

// Makes every file of this process end at a size, as a full disk would.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(uint64_t num_bytes) {
    getrlimit(RLIMIT_FSIZE, &before_);
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    rlimit limit = before_;
    limit.rlim_cur = num_bytes;
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

TEST_F(TensorboardWriterTest, AFullDiskLeavesWholeRecords) {
  TensorboardWriter writer(folder_);
  writer.add_scalar("loss", 1, 1);
  writer.flush();
  {
    const FileSizeLimit limit(fs::file_size(writer.path()) + 20);
    writer.add_scalar("loss", 2, 2);
    EXPECT_NO_THROW(writer.flush());
  }
  writer.add_scalar("loss", 3, 3);
  writer.flush();
  EXPECT_EQ(events_in(writer.path()).size(), 2u);
}

TEST(TensorboardFolder, HasPrefixTimeAndTracker) {
  TrackingOptions tracking;
  tracking.logging_dir = "logs";
  EXPECT_THAT(tensorboard_folder(tracking, "network_train", 1795410903).string(),
              MatchesRegex("logs/[0-9]{14}/network_train"));
  tracking.log_prefix = "cat_";
  tracking.log_tracker_name = "mine";
  EXPECT_THAT(tensorboard_folder(tracking, "network_train", 1795410903).string(),
              MatchesRegex("logs/cat_[0-9]{14}/mine"));
}

TEST(LoggedOptions, LeavesOutSecretsAndPlaces) {
  TrainNetworkOptions options;
  OptionTable table = describe(options);
  options.output.output_dir = "/home/me/out";
  options.tracking.wandb_api_key = "top-secret";
  options.metadata.training_comment = "a|b\nc";
  const std::string text = logged_options(table);
  EXPECT_THAT(text, HasSubstr("| network_alpha | 1 |\n"));
  EXPECT_THAT(text, HasSubstr("| training_comment | a\\|b c |\n"));
  EXPECT_THAT(text, Not(HasSubstr("/home/me")));
  EXPECT_THAT(text, Not(HasSubstr("top-secret")));
}

}  // namespace
}  // namespace difftune
