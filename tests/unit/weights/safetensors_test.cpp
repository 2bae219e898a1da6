#include "weights/safetensors.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "test_files.h"

namespace difftune {
namespace {

using testing::HasSubstr;

std::vector<NamedTensor> all_tensors(const TensorSource& source) {
  std::vector<NamedTensor> tensors;
  for (const std::string& key : source.keys()) tensors.emplace_back(key, source.tensor(key));
  return tensors;
}

// A file with this header text and `data_bytes` zeros behind it.
fs::path write_raw(const fs::path& path, const std::string& json, size_t data_bytes) {
  const uint64_t length = json.size();
  std::string bytes(reinterpret_cast<const char*>(&length), 8);
  write_file_atomically(path, bytes + json + std::string(data_bytes, '\0'));
  return path;
}

TEST(Safetensors, ReadsEveryDtypeOfThePythonLibrary) {
  const SafetensorsFile file(data_file("all_dtypes.safetensors"));
  EXPECT_EQ(file.keys().size(), 26);
  for (const auto& [name, tensor] : all_tensors(file)) {
    if (name.starts_with("z.")) {
      const at::Tensor expected = at::arange(6).reshape({2, 3}).to(at::kFloat);
      EXPECT_TRUE(at::equal(tensor.to(at::kFloat), name == "z.bool" ? expected.remainder(2) : expected)) << name;
    }
  }
  EXPECT_EQ(file.info("a.bf16").dtype, at::kBFloat16);
  EXPECT_EQ(file.info("a.f8e4").dtype, at::kFloat8_e4m3fn);
  EXPECT_EQ(file.info("z.f64").num_bytes, 48);
  EXPECT_EQ(file.tensor("scalar").item<float>(), 7.5f);
  EXPECT_EQ(file.tensor("empty").sizes(), at::IntArrayRef({0, 4}));
  EXPECT_EQ(describe(file.info("z.f16")), "float16 [2, 3]");
}

TEST(Safetensors, WritesTheBytesOfThePythonLibrary) {
  TemporaryFolder folder;
  for (const char* name : {"all_dtypes.safetensors", "escapes.safetensors", "empty_metadata.safetensors"}) {
    const SafetensorsFile original(data_file(name));
    std::vector<NamedTensor> tensors = all_tensors(original);
    std::reverse(tensors.begin(), tensors.end());
    std::optional<Metadata> metadata;
    if (std::string(name) != "all_dtypes.safetensors") metadata = original.metadata();
    write_safetensors(folder / name, tensors, metadata);
    EXPECT_EQ(read_file(folder / name), read_file(data_file(name))) << name;
  }
  EXPECT_EQ(SafetensorsFile(data_file("escapes.safetensors")).metadata().count("k\t\x01"), 1);
}

TEST(Safetensors, WritesStreamedConvertedAndNonContiguousTensors) {
  TemporaryFolder folder;
  const at::Tensor base = at::arange(6, at::kFloat).reshape({2, 3});
  std::vector<std::string> asked;
  write_safetensors(folder / "a.safetensors", {{"a", at::kHalf, {3, 2}}, {"b", at::kLong, {}}},
                    [&](const std::string& name) {
                      asked.push_back(name);
                      return name == "a" ? base.t() : at::ones({}, at::kLong);
                    });
  EXPECT_EQ(asked, (std::vector<std::string>{"b", "a"}));
  const SafetensorsFile file(folder / "a.safetensors");
  EXPECT_TRUE(at::equal(file.tensor("a"), base.t().to(at::kHalf)));

  const MemorySource source({{"x", base}, {"i", at::zeros({2}, at::kInt)}});
  write_safetensors(folder / "b.safetensors", source, Metadata{{"k", "v"}}, at::kBFloat16);
  const SafetensorsFile converted(folder / "b.safetensors");
  EXPECT_EQ(converted.info("x").dtype, at::kBFloat16);
  EXPECT_EQ(converted.info("i").dtype, at::kInt);
  EXPECT_EQ(converted.metadata(), (Metadata{{"k", "v"}}));
}

// Of pages that were read from mapped files, in bytes.
int64_t mapped_bytes() {
  const std::string status = read_file("/proc/self/status");
  const std::string field = "RssFile:";
  return std::stoll(status.substr(status.find(field) + field.size())) * 1024;
}

TEST(Safetensors, MemoryOfTensorsThatAreGoneComesBack) {
  TemporaryFolder folder;
  constexpr int64_t kMiB = 1 << 20;
  write_safetensors(folder / "large.safetensors", {{"a", at::ones({32 * kMiB / 4})}, {"b", at::ones({kMiB / 4})}});
  const SafetensorsFile file(folder / "large.safetensors");
  const at::Tensor kept = file.tensor("b");
  // The pages of LibTorch's own code are mapped as well: they are there before anything is counted.
  EXPECT_EQ(kept.sum().item<double>(), kMiB / 4);
  const int64_t before = mapped_bytes();
  at::Tensor read = file.tensor("a");
  EXPECT_EQ(read.sum().item<double>(), 32 * kMiB / 4);
  EXPECT_GT(mapped_bytes() - before, 30 * kMiB);
  read.reset();
  EXPECT_LT(mapped_bytes() - before, 2 * kMiB);
  EXPECT_EQ(kept.sum().item<double>(), kMiB / 4);
}

TEST(Safetensors, TensorsOutliveTheFileObject) {
  TemporaryFolder folder;
  write_safetensors(folder / "a.safetensors", {{"a", at::full({1000}, 3.0f)}});
  at::Tensor tensor;
  {
    const SafetensorsFile file(folder / "a.safetensors");
    tensor = file.tensor("a");
    file.drop_pages("a");
  }
  fs::remove(folder / "a.safetensors");
  EXPECT_EQ(tensor.sum().item<float>(), 3000.0f);
}

TEST(Safetensors, CopiesTensorsThatAreNotAligned) {
  TemporaryFolder folder;
  const auto path =
      write_raw(folder / "a.safetensors", R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}  )", 8);
  const at::Tensor tensor = SafetensorsFile(path).tensor("a");
  EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.const_data_ptr()) % 4, 0);
  EXPECT_TRUE(at::equal(tensor, at::zeros({2})));
}

TEST(Safetensors, NamesTheMissingKeyAndTheNearestOne) {
  const SafetensorsFile file(data_file("all_dtypes.safetensors"));
  const std::string error = error_of([&] { file.tensor("scaler"); });
  EXPECT_THAT(error, HasSubstr("all_dtypes.safetensors: has no tensor 'scaler'"));
  EXPECT_THAT(error, HasSubstr("'scalar'"));
}

TEST(Safetensors, TruncatedFileSaysBytesExpectedAndFound) {
  TemporaryFolder folder;
  const std::string whole = read_file(data_file("all_dtypes.safetensors"));
  write_file_atomically(folder / "cut.safetensors", whole.substr(0, whole.size() - 5));
  EXPECT_THAT(error_of([&] { SafetensorsFile{folder / "cut.safetensors"}; }),
              HasSubstr(fmt::format("cut.safetensors: is truncated: {} bytes expected, {} found", whole.size(),
                                    whole.size() - 5)));
  write_file_atomically(folder / "cut.safetensors", whole.substr(0, 100));
  EXPECT_THAT(error_of([&] { SafetensorsFile{folder / "cut.safetensors"}; }), HasSubstr("truncated inside its header"));
  write_file_atomically(folder / "cut.safetensors", "abc");
  EXPECT_THAT(error_of([&] { SafetensorsFile{folder / "cut.safetensors"}; }), HasSubstr("3 bytes found"));
  write_file_atomically(folder / "cut.safetensors", whole + "x");
  EXPECT_THAT(error_of([&] { SafetensorsFile{folder / "cut.safetensors"}; }),
              HasSubstr("1 bytes behind the last tensor"));
  write_file_atomically(folder / "cut.safetensors", std::string(8, '\xff') + "{}");
  EXPECT_THAT(error_of([&] { SafetensorsFile{folder / "cut.safetensors"}; }), HasSubstr("is not a safetensors file"));
}

TEST(Safetensors, RefusesHeadersThatLie) {
  TemporaryFolder folder;
  const auto error = [&](const std::string& json) {
    return error_of([&] { SafetensorsFile{write_raw(folder / "a.safetensors", json, 8)}; });
  };
  EXPECT_EQ(error(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})"), "");
  EXPECT_THAT(error(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})"),
              HasSubstr("tensor 'a' is F32 of shape [3]"));
  EXPECT_THAT(error(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}})"),
              HasSubstr("begins at byte 8, expected 0"));
  EXPECT_THAT(
      error(
          R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})"),
      HasSubstr("begins at byte 0, expected 4"));
  EXPECT_THAT(error(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})"), HasSubstr("header is wrong"));
  EXPECT_THAT(
      error(R"({"a":{"dtype":"F32","shape":[4611686018427387904,4611686018427387904,0],"data_offsets":[0,0]}})"),
      HasSubstr("header is wrong"));
  EXPECT_THAT(error(R"({"a":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,8]}})"),
              HasSubstr("header is wrong"));
  EXPECT_THAT(error(R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})"), HasSubstr("lacks a dtype, shape"));
  EXPECT_THAT(error(R"({"a":{"dtype":"F4","shape":[2],"data_offsets":[0,8]}})"),
              HasSubstr("dtype 'F4', which is not supported"));
  EXPECT_THAT(
      error(
          R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})"),
      HasSubstr("names 'a' twice"));
  EXPECT_THAT(error(R"({"a":{"shape":[2]}})"), HasSubstr("tensor 'a' lacks"));
  EXPECT_THAT(error(R"({"__metadata__":{"a":1}})"), HasSubstr("__metadata__ 'a'"));
  EXPECT_THAT(error("[1]"), HasSubstr("not a JSON object"));
  EXPECT_THAT(error("{\"a\":"), HasSubstr("not valid JSON"));
  EXPECT_THAT(error("{\"a\xff\":1}"), HasSubstr("not valid JSON"));
  EXPECT_THAT(error("{" + std::string(200'000, '[')), HasSubstr("not valid JSON"));
}

TEST(Safetensors, FailedWriteLeavesTheOldFile) {
  TemporaryFolder folder;
  write_file_atomically(folder / "a.safetensors", "old");
  EXPECT_THROW(write_safetensors(folder / "a.safetensors", {{"a", at::kFloat, {1}}},
                                 [](const std::string&) -> at::Tensor { fail("out of luck"); }),
               UserError);
  EXPECT_EQ(read_file(folder / "a.safetensors"), "old");
  EXPECT_THAT(error_of([&] {
                write_safetensors(folder / "b", {{"a", at::kFloat, {int64_t{1} << 58}}}, nullptr);
              }),
              HasSubstr("MiB are free"));
  EXPECT_THAT(error_of([&] {
                write_safetensors(folder / "b", {{"a", at::ones({1})}}, Metadata{{"k", "\xff"}});
              }),
              HasSubstr("not valid UTF-8"));
  EXPECT_THAT(error_of([&] {
                write_safetensors(folder / "b", {{"a", at::ones({1}, at::kComplexFloat)}});
              }),
              HasSubstr("cannot hold"));
}

TEST(TensorSource, FirstNonFinite) {
  at::Tensor bad = at::zeros({4, 4}, at::kHalf);
  EXPECT_EQ(first_non_finite({{"a", bad}, {"i", at::zeros({2}, at::kLong)}, {"e", at::zeros({0})}}), "");
  bad[1][2] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(first_non_finite({{"fine", at::ones({3})}, {"bad", bad}}), "bad");
  EXPECT_EQ(first_non_finite({{"f8", at::full({2}, std::nanf("")).to(at::kFloat8_e5m2)}}), "f8");
}

}  // namespace
}  // namespace difftune
