// Random damage to files of every format: reading them gives tensors or a UserError that names the file, never anything
// else. (Under the sanitizers this test also shows that nothing is read out of bounds.)
#include <ATen/ops/ones.h>

#include <algorithm>
#include <fstream>
#include <random>

#include "test_files.h"
#include "weights/npz.h"
#include "weights/open_weights.h"

namespace difftune {
namespace {

std::string damage(std::string bytes, std::mt19937& random) {
  const auto below = [&](size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random); };
  for (size_t count = 1 + below(4); count-- > 0 && !bytes.empty();) {
    const size_t at = below(bytes.size());
    switch (below(5)) {
      case 0:
        bytes[at] = static_cast<char>(below(256));
        break;
      case 1:
        bytes[at] ^= static_cast<char>(1 << below(8));
        break;
      case 2:
        bytes.resize(at);
        break;
      case 3:
        bytes.erase(at, 1 + below(16));
        break;
      case 4:
        bytes.insert(at, bytes.substr(below(bytes.size()), 1 + below(16)));
        break;
    }
  }
  return bytes;
}

void read_everything(const fs::path& path, bool is_npz) {
  if (is_npz) {
    read_npz_info(path);
    for (const auto& [name, array] : read_npz(path)) array.clone();
    return;
  }
  const auto file = open_weights(path);
  for (const std::string& key : file->keys()) {
    EXPECT_EQ(file->tensor(key).nbytes(), file->info(key).num_bytes);
    file->tensor(key).clone();
  }
}

class DamagedFiles : public testing::TestWithParam<const char*> {};

TEST_P(DamagedFiles, AreReadOrRefused) {
  const std::string name = GetParam();
  const fs::path path = fs::temp_directory_path() / fmt::format("difftune_damaged_{}_{}", getpid(), name);
  const std::string whole = read_file(data_file(name));
  std::mt19937 random(1);
  int num_refused = 0;
  constexpr int kNumTrials = 1000;
  for (int trial = 0; trial < kNumTrials; ++trial) {
    std::ofstream(path, std::ios::binary) << damage(whole, random);
    try {
      read_everything(path, name.ends_with(".npz"));
    } catch (const UserError& e) {
      ++num_refused;
      EXPECT_TRUE(std::string_view(e.what()).starts_with(path.string())) << e.what();
    }
  }
  EXPECT_GT(num_refused, kNumTrials / 4);
  fs::remove(path);
}

INSTANTIATE_TEST_SUITE_P(Formats, DamagedFiles,
                         testing::Values("all_dtypes.safetensors", "zip.ckpt", "legacy.ckpt", "protocol4.pt",
                                         "numpy.npz", "numpy_compressed.npz", "numpy_zip64.npz"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

}  // namespace
}  // namespace difftune
