#include "weights/npz.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include "test_files.h"
#include "weights/zip_archive.h"

namespace difftune {
namespace {

using testing::HasSubstr;

TEST(Npz, ReadsNumpyFiles) {
  const at::Tensor latents = at::arange(24).to(at::kFloat).reshape({2, 3, 4});
  for (const char* name : {"numpy.npz", "numpy_compressed.npz", "numpy_zip64.npz"}) {
    const NpzArrays arrays = read_npz(data_file(name));
    EXPECT_EQ(arrays.size(), 10);
    EXPECT_TRUE(at::equal(arrays.at("latents"), latents));
    EXPECT_TRUE(at::equal(arrays.at("fortran"), latents));
    EXPECT_TRUE(arrays.at("fortran").is_contiguous());
    EXPECT_TRUE(at::equal(arrays.at("half"), latents.to(at::kHalf)));
    EXPECT_TRUE(at::equal(arrays.at("mask"), latents.gt(3)));
    EXPECT_EQ(arrays.at("original_size")[1].item<int64_t>(), 768);
    EXPECT_EQ(arrays.at("crop_ltrb")[1].item<double>(), 1.5);
    EXPECT_EQ(arrays.at("bytes").scalar_type(), at::kByte);
    EXPECT_EQ(arrays.at("ints").scalar_type(), at::kInt);
    EXPECT_EQ(arrays.at("scalar").item<float>(), 2.5f);
    EXPECT_EQ(arrays.at("empty").sizes(), at::IntArrayRef({0, 3}));
    const auto infos = read_npz_info(data_file(name));
    EXPECT_EQ(infos.size(), 10);
    EXPECT_EQ(describe(infos.at("latents")), "float32 [2, 3, 4]");
  }
}

TEST(Npz, WritesEntriesAsNumpyDoes) {
  TemporaryFolder folder;
  NpzArrays arrays = read_npz(data_file("numpy.npz"));
  arrays.erase("fortran");  // written in C order
  write_npz(folder / "ours.npz", arrays);
  const std::string ours = read_file(folder / "ours.npz"), numpys = read_file(data_file("numpy.npz"));
  const auto our_bytes = std::as_bytes(std::span(ours)), numpy_bytes = std::as_bytes(std::span(numpys));
  size_t num_compared = 0;
  for (const ZipEntry& our : read_zip_directory(our_bytes, "ours")) {
    for (const ZipEntry& theirs : read_zip_directory(numpy_bytes, "numpy")) {
      if (our.name != theirs.name) continue;
      EXPECT_EQ(read_zip_entry(our_bytes, our, "ours"), read_zip_entry(numpy_bytes, theirs, "numpy")) << our.name;
      ++num_compared;
    }
  }
  EXPECT_EQ(num_compared, arrays.size());
}

TEST(Npz, RoundTripsNonContiguousTensors) {
  TemporaryFolder folder;
  const at::Tensor tensor = at::arange(6, at::kFloat).reshape({2, 3}).t();
  write_npz(folder / "a.npz", {{"t", tensor}, {"scalar", at::ones({}, at::kDouble)}});
  EXPECT_TRUE(at::equal(read_npz(folder / "a.npz").at("t"), tensor));
  EXPECT_THAT(error_of([&] {
                write_npz(folder / "b.npz", {{"t", tensor.to(at::kBFloat16)}});
              }),
              HasSubstr("array 't' is bfloat16, which NumPy lacks"));
  EXPECT_FALSE(fs::exists(folder / "b.npz"));
}

TEST(Npz, CorruptCachesAreNamed) {
  TemporaryFolder folder;
  write_npz(folder / "a.npz", {{"latents", at::zeros({4, 8, 8})}});
  std::string bytes = read_file(folder / "a.npz");
  std::string damaged = bytes;
  damaged[500] ^= 1;
  write_file_atomically(folder / "a.npz", damaged);
  EXPECT_THAT(error_of([&] { read_npz(folder / "a.npz"); }),
              HasSubstr("a.npz: entry 'latents.npy' of the zip archive is damaged"));
  for (const size_t size : {size_t{0}, size_t{10}, size_t{500}, bytes.size() - 1}) {
    write_file_atomically(folder / "a.npz", bytes.substr(0, size));
    EXPECT_THAT(error_of([&] { read_npz(folder / "a.npz"); }), HasSubstr("a.npz: is truncated")) << size;
  }
  EXPECT_THAT(error_of([&] { read_npz(data_file("objects.npz")); }), HasSubstr("dtype '|O', which is not supported"));
}

}  // namespace
}  // namespace difftune
