#include "weights/open_weights.h"

#include <ATen/ops/full.h>

#include "test_files.h"
#include "weights/joined_source.h"
#include "weights/safetensors.h"

namespace difftune {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

void write_one(const fs::path& path, const std::string& key, double value) {
  fs::create_directories(path.parent_path());
  write_safetensors(path, {{key, at::full({2}, value)}});
}

TEST(OpenWeights, GoesByContentNotByName) {
  TemporaryFolder folder;
  fs::copy(data_file("all_dtypes.safetensors"), folder / "a.ckpt");
  fs::copy(data_file("zip.ckpt"), folder / "b.safetensors");
  EXPECT_TRUE(open_weights(folder / "a.ckpt")->contains("scalar"));
  EXPECT_TRUE(open_weights(folder / "b.safetensors")->contains("row"));
}

TEST(OpenWeights, HeaderLengthThatLooksLikeAPickle) {
  TemporaryFolder folder;
  // The header of 640 bytes makes the file begin with 0x80 0x02, as a pickle does.
  write_safetensors(folder / "a.safetensors", {{"a", at::full({2}, 1.0)}}, Metadata{{"k", std::string(556, 'v')}});
  ASSERT_TRUE(read_file(folder / "a.safetensors").starts_with("\x80\x02"));
  EXPECT_TRUE(open_weights(folder / "a.safetensors")->contains("a"));
}

TEST(OpenWeights, SaysWhatAFileIsInstead) {
  TemporaryFolder folder;
  const auto error = [&](const std::string& content) {
    write_file_atomically(folder / "m.safetensors", content);
    return error_of([&] { open_weights(folder / "m.safetensors"); });
  };
  EXPECT_THAT(error(""), HasSubstr("m.safetensors: is no file of weights: the file is empty"));
  EXPECT_THAT(error("version https://git-lfs.github.com/spec/v1\n"), HasSubstr("Git LFS pointer"));
  EXPECT_THAT(error("<!DOCTYPE html><html>"), HasSubstr("web page"));
  EXPECT_THAT(error("GGUF0000000000"), HasSubstr("GGUF"));
  EXPECT_THAT(error("\x89PNG\r\n\x1a\n0000000"), HasSubstr("expected safetensors or a PyTorch checkpoint"));
  EXPECT_THAT(error("12345"), HasSubstr("truncated"));
  EXPECT_THAT(error_of([&] { open_weights(folder.path()); }), HasSubstr("is a folder"));
  EXPECT_THAT(error_of([&] { open_weights(folder / "none.ckpt"); }), HasSubstr("no such file"));
}

TEST(OpenWeights, DiffusersFolderPrefersSafetensorsAndReadsShards) {
  TemporaryFolder folder;
  write_one(folder / "unet/part-1.safetensors", "a", 1);
  write_one(folder / "unet/part-2.safetensors", "b", 2);
  const fs::path index = folder / "unet/diffusion_pytorch_model.safetensors.index.json";
  write_file_atomically(index, R"({"metadata":{},"weight_map":{"a":"part-1.safetensors","b":"part-2.safetensors"}})");
  write_one(folder / "vae/diffusion_pytorch_model.safetensors", "conv", 3);
  write_file_atomically(folder / "vae/diffusion_pytorch_model.bin", "broken");
  write_one(folder / "text_encoder/model.fp16.safetensors", "emb", 4);

  const auto model = open_diffusers_folder(folder.path(), {"unet", "vae", "text_encoder"});
  EXPECT_THAT(model->keys(), ElementsAre("unet.a", "unet.b", "vae.conv", "text_encoder.emb"));
  EXPECT_EQ(model->tensor("unet.b")[0].item<float>(), 2);
  EXPECT_EQ(model->info("vae.conv").shape, (std::vector<int64_t>{2}));
  EXPECT_TRUE(is_diffusers_folder(folder.path()));
  EXPECT_THAT(error_of([&] { open_diffusers_folder(folder.path(), {"scheduler"}); }),
              HasSubstr("scheduler: has no weights"));

  write_file_atomically(index, R"({"weight_map":{"c":"part-1.safetensors"}})");
  EXPECT_THAT(error_of([&] { open_component_folder(folder / "unet"); }), HasSubstr("lacks the tensor 'c'"));
  write_file_atomically(index, R"({"weight_map":{"c":"../vae/x.safetensors"}})");
  EXPECT_THAT(error_of([&] { open_component_folder(folder / "unet"); }), HasSubstr("outside its folder"));
  write_file_atomically(index, "[]");
  EXPECT_THAT(error_of([&] { open_component_folder(folder / "unet"); }), HasSubstr("is no index of shards"));
}

TEST(JoinedSource, RefusesTheSameKeyTwice) {
  const auto a = std::make_shared<MemorySource>(std::vector<NamedTensor>{{"x", at::full({1}, 1.0)}}, Metadata{}, "one");
  const auto b = std::make_shared<MemorySource>(std::vector<NamedTensor>{{"x", at::full({1}, 1.0)}}, Metadata{}, "two");
  EXPECT_THAT(error_of([&] {
                JoinedSource("f", {{"", a}, {"", b}});
              }),
              HasSubstr("one and two: both have the tensor 'x'"));
}

}  // namespace
}  // namespace difftune
