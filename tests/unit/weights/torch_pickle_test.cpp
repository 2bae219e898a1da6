#include "weights/torch_pickle.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>

#include "test_files.h"
#include "weights/open_weights.h"
#include "weights/pickle.h"

namespace difftune {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

void expect_contents(const TensorSource& file, bool has_float8) {
  const at::Tensor expected = at::arange(6).reshape({2, 3}).to(at::kFloat);
  for (const char* name : {"f64", "f32", "f16", "bf16", "i64", "i32", "i16", "i8", "u8"}) {
    EXPECT_TRUE(at::equal(file.tensor(name).to(at::kFloat), expected)) << name;
  }
  EXPECT_TRUE(at::equal(file.tensor("bool").to(at::kFloat), expected.remainder(2)));
  EXPECT_EQ(file.contains("f8e4"), has_float8);
  if (has_float8) {
    EXPECT_TRUE(at::equal(file.tensor("f8e4").to(at::kFloat), expected));
  }
  const at::Tensor base = at::arange(24, at::kFloat).reshape({4, 6});
  EXPECT_TRUE(at::equal(file.tensor("transposed"), base.t()));
  EXPECT_TRUE(at::equal(file.tensor("row"), base[2]));
  EXPECT_TRUE(at::equal(file.tensor("columns"), base.narrow(1, 1, 2)));
  EXPECT_TRUE(at::equal(file.tensor("parameter"), at::arange(3).to(at::kHalf)));
  EXPECT_EQ(file.tensor("scalar").item<int64_t>(), 3);
  EXPECT_EQ(file.tensor("empty").sizes(), at::IntArrayRef({0, 3}));
  EXPECT_EQ(file.info("bf16").dtype, at::kBFloat16);
  EXPECT_EQ(file.info("columns").num_bytes, 32);
}

TEST(TorchCheckpoint, ReadsZipWithNestedStateDict) {
  const auto file = open_weights(data_file("zip.ckpt"));
  EXPECT_EQ(file->keys().front(), "f64");
  expect_contents(*file, true);
  EXPECT_FALSE(file->contains("exp_avg"));
  EXPECT_THAT(error_of([&] { file->tensor("rov"); }), HasSubstr("zip.ckpt: has no tensor 'rov' (nearest: 'row')"));
}

TEST(TorchCheckpoint, ViewsTheMappedFile) {
  const TorchCheckpoint file(data_file("zip.ckpt"));
  EXPECT_EQ(file.tensor("f32").const_data_ptr(), file.tensor("f32").const_data_ptr());
  EXPECT_EQ(file.tensor("row").const_data_ptr<float>(), file.tensor("transposed").const_data_ptr<float>() + 12);
}

TEST(TorchCheckpoint, ReadsLegacyStreamAndOtherProtocols) {
  expect_contents(*open_weights(data_file("legacy.ckpt")), false);
  expect_contents(*open_weights(data_file("protocol4.pt")), false);
}

TEST(TorchCheckpoint, RunsNothing) {
  const fs::path witness = "/tmp/difftune_pickle_was_run";
  fs::remove(witness);
  const TorchCheckpoint file(data_file("evil.ckpt"));
  EXPECT_THAT(file.keys(), ElementsAre("weight"));
  EXPECT_EQ(file.refused_calls().size(), 1);
  EXPECT_THAT(file.refused_calls()[0], HasSubstr(".system"));
  EXPECT_THAT(error_of([] { open_weights(data_file("evil_raw.pt")); }), HasSubstr("was not written by torch.save"));
  EXPECT_FALSE(fs::exists(witness));
}

TEST(TorchCheckpoint, RefusesWholeModules) {
  EXPECT_THAT(error_of([] { open_weights(data_file("module.pt")); }), HasSubstr("module.pt: holds no state dict"));
}

TEST(TorchCheckpoint, TruncatedFilesAreNamed) {
  TemporaryFolder folder;
  for (const char* name : {"zip.ckpt", "legacy.ckpt"}) {
    const std::string whole = read_file(data_file(name));
    for (const size_t size : {whole.size() / 2, whole.size() - 10, size_t{30}}) {
      write_file_atomically(folder / name, whole.substr(0, size));
      const std::string error = error_of([&] { open_weights(folder / name); });
      EXPECT_THAT(error, HasSubstr((folder / name).string())) << size;
      EXPECT_THAT(error, HasSubstr("truncated")) << size;
    }
  }
}

TEST(Pickle, RefusesUnknownOpcodesAndBadStacks) {
  const auto error = [](std::string bytes) {
    return error_of([&] { Pickle(std::as_bytes(std::span(bytes)), "x.pt"); });
  };
  const std::string proto = "\x80\x02";
  EXPECT_EQ(error(proto + "]."), "");
  EXPECT_THAT(error(proto + "\x82\x01."), HasSubstr("opcode 0x82 at byte 2"));
  EXPECT_THAT(error(proto + "."), HasSubstr("damaged"));
  EXPECT_THAT(error(proto + "(a."), HasSubstr("damaged"));
  EXPECT_THAT(error(proto + "]ts"), HasSubstr("damaged"));
  EXPECT_THAT(error(proto + "h\x05."), HasSubstr("damaged"));
  EXPECT_THAT(error(proto + "X\xff\xff\xff\xff"), HasSubstr("4294967295 bytes expected"));
  EXPECT_THAT(error("(dp0\n."), HasSubstr("no pickle of protocol 2 to 5"));
}

TEST(Pickle, NestingAndSelfReferencesAreHarmless) {
  // A million tuples inside each other, and a list that holds itself.
  std::string deep = "\x80\x02)";
  deep += std::string(1'000'000, '\x85') + ".";
  EXPECT_TRUE(Pickle(std::as_bytes(std::span(deep)), "x.pt").root().is(PickleValue::Kind::tuple));
  const std::string cycle(
      "\x80\x02]q\x00h\x00"
      "a.",
      9);
  const Pickle list(std::as_bytes(std::span(cycle)), "x.pt");
  EXPECT_EQ(list.root().items[0], &list.root());
}

TEST(Pickle, LongIntegers) {
  const std::string bytes("\x80\x02(\x8a\x01\xff\x8a\x00\x8a\x02\x00\x80t.", 14);
  const Pickle pickle(std::as_bytes(std::span(bytes)), "x.pt");
  EXPECT_EQ(pickle.root().items[0]->integer, -1);
  EXPECT_EQ(pickle.root().items[1]->integer, 0);
  EXPECT_EQ(pickle.root().items[2]->integer, -32768);
}

}  // namespace
}  // namespace difftune
