#include "weights/model_hash.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/ones.h>

#include <nlohmann/json.hpp>

#include "test_files.h"

namespace difftune {
namespace {

const nlohmann::json& expected() {
  static const nlohmann::json json = nlohmann::json::parse(read_file(data_file("hashes.json")));
  return json;
}

TEST(ModelHash, LoraHashesAreThoseOfThePythonFormula) {
  std::vector<NamedTensor> tensors;
  for (int i = 0; i < 4; ++i) {
    const at::Tensor values = at::arange(100'000).remainder(1000).to(at::kFloat).reshape({100, 1000}).mul(i + 1);
    tensors.emplace_back(fmt::format("lora_unet_{}.lora_down.weight", i), values);
    tensors.emplace_back(fmt::format("lora_unet_{}.alpha", i), at::ones({}, at::kLong));
  }
  const LoraHashes plain = lora_hashes(tensors, {{"ss_a", "b"}, {"modelspec.title", "other"}});
  EXPECT_EQ(plain.sshs_model_hash, expected()["plain"][0]);
  EXPECT_EQ(plain.sshs_legacy_hash, expected()["plain"][1]);
  const LoraHashes none = lora_hashes(tensors, {});
  EXPECT_EQ(none.sshs_model_hash, expected()["none"][0]);
  EXPECT_EQ(none.sshs_legacy_hash, expected()["none"][1]);
}

TEST(ModelHash, FileHashes) {
  TemporaryFolder folder;
  std::string blob(1'200'000, '\0');
  for (uint64_t i = 0; i < blob.size(); ++i) blob[i] = static_cast<char>(i * i % 251);
  write_file_atomically(folder / "a", blob);
  EXPECT_EQ(file_sha256(folder / "a"), expected()["file"][0]);
  EXPECT_EQ(legacy_file_hash(folder / "a"), expected()["file"][1]);
  write_file_atomically(folder / "short", "abc");
  EXPECT_EQ(legacy_file_hash(folder / "short"), "e3b0c442");  // of no bytes
  EXPECT_EQ(file_sha256(folder.path()), "IsADirectory");
  EXPECT_EQ(legacy_file_hash(folder / "missing"), "NOFILE");
}

}  // namespace
}  // namespace difftune
