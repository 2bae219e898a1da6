#include "base/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"

namespace difftune {
namespace {

using testing::HasSubstr;
using testing::UnorderedElementsAre;

class Files : public testing::Test {
 protected:
  Files() : folder_(fs::temp_directory_path() / fmt::format("difftune_files_{}", getpid())) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~Files() override { fs::remove_all(folder_); }

  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_)) names.push_back(entry.path().filename().string());
    return names;
  }

  fs::path folder_;
};

template <typename Call>
std::string message_of(Call call) {
  try {
    call();
  } catch (const UserError& error) {
    return error.what();
  }
  return "no UserError";
}

TEST_F(Files, ReadWhatWasWritten) {
  const std::string content("a\0b", 3);
  write_file_atomically(folder_ / "f", content);
  EXPECT_EQ(read_file(folder_ / "f"), content);
  write_file_atomically(folder_ / "f", "");
  EXPECT_EQ(read_file(folder_ / "f"), "");
  EXPECT_THAT(names(), UnorderedElementsAre("f"));
}

TEST_F(Files, WriteALargeFileInParts) {
  const std::string part(std::size_t{9} << 20, 'a');
  AtomicFile file(folder_ / "f");
  for (int i = 0; i < 5; ++i) file.write(part);  // 45 MiB go to the disk in several transfers
  file.write_at(0, "header", 6);
  file.commit();
  std::string expected(5 * part.size(), 'a');
  expected.replace(0, 6, "header");
  EXPECT_TRUE(read_file(folder_ / "f") == expected);
}

TEST_F(Files, FilesWithoutSizeAreRead) { EXPECT_THAT(read_file("/proc/self/status"), HasSubstr("Pid:")); }

TEST_F(Files, ErrorsNameThePath) {
  EXPECT_THAT(message_of([&] { read_file(folder_ / "missing"); }), HasSubstr((folder_ / "missing").string()));
  EXPECT_THAT(message_of([&] { read_file(folder_); }), HasSubstr("is a folder"));
  EXPECT_THAT(message_of([&] { MappedFile(folder_ / "missing"); }), HasSubstr("missing"));
  EXPECT_THAT(message_of([&] { MappedFile{folder_}; }), HasSubstr("is a folder"));
  EXPECT_THAT(message_of([&] { write_file_atomically(folder_ / "no" / "f", "x"); }), HasSubstr("no/f"));
}

TEST_F(Files, WithoutCommitTheOldContentStays) {
  write_file_atomically(folder_ / "f", "old");
  {
    AtomicFile file(folder_ / "f");
    file.write("new");
  }
  EXPECT_EQ(read_file(folder_ / "f"), "old");
  EXPECT_THAT(names(), UnorderedElementsAre("f"));
}

TEST_F(Files, AFileThatIsLeftToTheKernelAppearsWhole) {
  write_file_atomically(folder_ / "f", "old");
  AtomicFile file(folder_ / "f", WrittenWhen::in_kernel);
  file.write("new");
  EXPECT_EQ(read_file(folder_ / "f"), "old");
  file.commit();
  EXPECT_EQ(read_file(folder_ / "f"), "new");
  EXPECT_THAT(names(), UnorderedElementsAre("f"));
}

TEST_F(Files, BytesCanBeOverwrittenBeforeCommit) {
  AtomicFile file(folder_ / "f");
  file.write("0123456");
  file.write_at(2, "ab", 2);
  file.write("7");
  file.commit();
  EXPECT_EQ(read_file(folder_ / "f"), "01ab4567");
}

TEST_F(Files, AFullDiskIsAnErrorAndLeavesNothing) {
  if (!fs::exists("/dev/full")) GTEST_SKIP();
  fs::create_symlink("/dev/full", folder_ / fmt::format("f.{}.difftune-tmp", getpid()));
  EXPECT_THAT(message_of([&] { write_file_atomically(folder_ / "f", "x"); }), HasSubstr("cannot be written"));
  EXPECT_THAT(names(), UnorderedElementsAre());
}

TEST_F(Files, AFolderReplacesTheOldOne) {
  const auto write = [](const char* name) {
    return [name](const fs::path& folder) { write_file_atomically(folder / name, name); };
  };
  write_folder_atomically(folder_ / "state", write("first"));
  write_folder_atomically(folder_ / "state", write("second"));
  EXPECT_THAT(names(), UnorderedElementsAre("state"));
  EXPECT_FALSE(fs::exists(folder_ / "state" / "first"));
  EXPECT_EQ(read_file(folder_ / "state" / "second"), "second");
}

TEST_F(Files, AFolderThatFailsLeavesTheOldOne) {
  write_folder_atomically(folder_ / "state", [](const fs::path& p) { write_file_atomically(p / "f", "old"); });
  EXPECT_THROW(write_folder_atomically(folder_ / "state", [](const fs::path&) { fail("full"); }), UserError);
  EXPECT_EQ(read_file(folder_ / "state" / "f"), "old");
  EXPECT_THAT(names(), UnorderedElementsAre("state"));
}

TEST_F(Files, TemporariesOfDeadProcessesAreRemoved) {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  waitpid(child, nullptr, 0);
  const std::string dead = fmt::format("f.{}.difftune-tmp", child), alive = fmt::format("f.{}.difftune-tmp", getppid());
  write_file_atomically(folder_ / dead, "");
  write_file_atomically(folder_ / alive, "");
  write_file_atomically(folder_ / "mine.tmp", "");
  fs::create_directories(folder_ / fmt::format("state.{}.old.difftune-tmp", child));
  remove_stale_temporaries(folder_);
  EXPECT_THAT(names(), UnorderedElementsAre(alive, "mine.tmp"));
}

TEST_F(Files, FreeSpaceOfAFolderThatIsYetToBe) {
  EXPECT_GT(free_space_bytes(folder_ / "a" / "b"), 0u);
  EXPECT_FALSE(fs::exists(folder_ / "a"));
}

TEST_F(Files, WritableFolders) {
  require_writable_folder(folder_ / "a" / "b", "--output_dir");
  EXPECT_TRUE(fs::is_empty(folder_ / "a" / "b"));
  write_file_atomically(folder_ / "f", "");
  EXPECT_THAT(message_of([&] { require_writable_folder(folder_ / "f" / "b", "--output_dir"); }),
              HasSubstr("--output_dir " + (folder_ / "f" / "b").string()));
}

TEST_F(Files, AMappedFileHasTheBytes) {
  const std::string content(100000, 'x');
  write_file_atomically(folder_ / "f", content);
  const MappedFile file(folder_ / "f");
  file.drop_pages(10, 90000);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()), content);
  write_file_atomically(folder_ / "empty", "");
  EXPECT_EQ(MappedFile(folder_ / "empty").bytes().size(), 0u);
}

}  // namespace
}  // namespace difftune
