#include "data/latent_cache.h"

#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>

#include "data/latent_file.h"
#include "test_data.h"
#include "weights/npz.h"

namespace difftune {
namespace {

using testing::HasSubstr;

class LatentCache : public testing::Test {
 protected:
  LatentCache() {
    folder_.add_pictures("set", 3);
    config_.resolution = {64, 64};
    config_.enable_bucket = true;
    config_.min_bucket_reso = 64;
    config_.max_bucket_reso = 128;
    config_.subsets.resize(1);
    config_.subsets[0].image_dir = folder_ / "set";
    options_.to_disk = true;
    options_.encoder_id = "vae 1";
  }

  // Builds a group and caches; returns how many images were encoded.
  int64_t cache() {
    group_ =
        std::make_unique<DatasetGroup>(std::vector{config_}, DatasetGroupOptions{.seed = 1, .cache_latents = true});
    int64_t encoded = 0;
    const EncodeImages encode = [&](const at::Tensor& images) {
      encoded += images.size(0);
      const at::Tensor pooled = at::avg_pool2d(images, 8);
      return at::cat({pooled, pooled.mean(1, true)}, 1);
    };
    cache_latents(*group_, encode, options_);
    return encoded;
  }
  // Entries by name; the first image is 64x64.
  std::string entry(const std::string& name = "p0_0064x0064_sd.npz") const { return folder_ / ("set/" + name); }
  // Latents of the first batch of the epoch.
  Batch first_batch() {
    PythonRandom random(1);
    return group_->load(group_->plan_epoch(0, 1, random)[0]);
  }

  ScratchFolder folder_;
  DatasetConfig config_;
  LatentCacheSettings options_;
  std::unique_ptr<DatasetGroup> group_;
};

TEST_F(LatentCache, IsUsedTheSecondTime) {
  EXPECT_EQ(cache(), 3);
  EXPECT_TRUE(fs::exists(entry()));
  EXPECT_TRUE(fs::exists(entry("p1_0080x0064_sd.npz")));
  const Batch first = first_batch();
  EXPECT_EQ(first.latents.sizes().vec(), (std::vector<int64_t>{1, 4, 8, 8}));
  EXPECT_EQ(cache(), 0);
  EXPECT_TRUE(first_batch().latents.equal(first.latents));
  options_.to_disk = false;
  EXPECT_EQ(cache(), 3);
  EXPECT_TRUE(first_batch().latents.equal(first.latents));
}

TEST_F(LatentCache, DamagedEntriesAreRebuilt) {
  cache();
  const std::string whole = read_file(entry());
  std::string flipped_bit = whole;
  flipped_bit[whole.size() / 2] ^= 1;
  for (const std::string& bad : {whole.substr(0, whole.size() / 2), flipped_bit, std::string(), std::string("junk")}) {
    write_file_atomically(entry(), bad);
    EXPECT_EQ(cache(), 1);
    EXPECT_TRUE(first_batch().latents.defined());
  }
}

TEST_F(LatentCache, OnlyTheChangedImageIsEncodedAgain) {
  cache();
  fs::copy_file(kData + "/pictures/plain/p4.png", folder_ / "set/p0.png", fs::copy_options::overwrite_existing);
  EXPECT_EQ(cache(), 1);
  // A new time alone is no change.
  fs::last_write_time(folder_ / "set/p0.png", fs::file_time_type::clock::now() + std::chrono::hours(1));
  EXPECT_EQ(cache(), 0);
}

TEST_F(LatentCache, OptionsThatChangeTheLatents) {
  cache();
  options_.encoder_id = "vae 2";
  EXPECT_EQ(cache(), 3);
  config_.subsets[0].flip_aug = true;
  EXPECT_EQ(cache(), 6);  // each image and its mirror image
  EXPECT_TRUE(read_latent_file(entry(), {}, {64, 64}).latents_flipped.defined());
  config_.subsets[0].flip_aug = false;
  EXPECT_EQ(cache(), 0);
  config_.resolution = {128, 128};
  EXPECT_EQ(cache(), 3);
  options_.skip_cache_check = true;
  config_.resolution = {64, 64};
  EXPECT_EQ(cache(), 0);
}

// An entry written by NumPy, as the reference writes it.
TEST_F(LatentCache, ReferenceEntriesAreUsed) {
  cache();
  NpzArrays arrays = read_npz(entry());
  arrays.erase("difftune_source");
  arrays["latents"] = at::full({4, 8, 8}, 2.0f);
  arrays["other"] = at::full({1}, 3.0f);
  write_npz(entry(), arrays);
  EXPECT_EQ(cache(), 0);
  EXPECT_EQ(read_latent_file(entry(), {}, {64, 64}).latents[0][0][0].item<float>(), 2.0f);

  fs::last_write_time(folder_ / "set/p0.png", fs::file_time_type::clock::now() + std::chrono::hours(1));
  EXPECT_EQ(cache(), 1);
  EXPECT_TRUE(read_npz(entry()).contains("other"));
  arrays["latents"] = at::full({4, 8, 8}, std::numeric_limits<float>::quiet_NaN());
  write_npz(entry(), arrays);
  EXPECT_EQ(cache(), 1);
}

TEST_F(LatentCache, TheOlderNameIsUsedWhereItExists) {
  cache();
  fs::rename(entry(), entry("p0.npz"));
  EXPECT_EQ(cache(), 0);
  EXPECT_FALSE(fs::exists(entry()));
}

TEST_F(LatentCache, OneImageInTwoResolutions) {
  auto other = config_;
  other.resolution = {128, 128};
  DatasetGroup group({config_, other}, {.seed = 1, .cache_latents = true});
  const EncodeImages none = [](const at::Tensor& images) { return images; };
  EXPECT_THAT(error_of([&] { cache_latents(group, none, options_); }), HasSubstr("two datasets"));
}

TEST_F(LatentCache, AnEncoderThatOverflowsIsNoticed) {
  DatasetGroup group({config_}, {.seed = 1, .cache_latents = true});
  const EncodeImages overflow = [](const at::Tensor& images) {
    return at::full({images.size(0), 4, images.size(2) / 8, images.size(3) / 8}, INFINITY);
  };
  EXPECT_THAT(error_of([&] { cache_latents(group, overflow, options_); }), HasSubstr("--no_half_vae"));
  EXPECT_FALSE(fs::exists(entry()));
}

TEST(LatentFile, ReadsWhatNumPyWrote) {
  const CachedLatents entry = read_latent_file(kData + "/entry_200x100_sd.npz", {}, {64, 64});
  EXPECT_EQ(entry.latents.sizes().vec(), (std::vector<int64_t>{4, 8, 24}));
  EXPECT_EQ(entry.latents[0][0][1].item<float>(), 1.0f / 7 - 50);
  EXPECT_TRUE(entry.latents_flipped.flip({2}).equal(entry.latents));
  EXPECT_EQ(entry.original_size, (SizePx{200, 100}));
  EXPECT_EQ(entry.crop.top, -16.0);
  EXPECT_FALSE(entry.alpha_mask.defined());
  EXPECT_EQ(latent_file_path("/x/a.b.png", {64, 12345}, {.suffix = "_sdxl.npz"}), "/x/a.b_0064x12345_sdxl.npz");
}

}  // namespace
}  // namespace difftune
