#include "data/dataset_group.h"

#include "data/batch_loader.h"
#include "test_data.h"

namespace difftune {
namespace {

using testing::AllOf;
using testing::HasSubstr;

DatasetConfig dataset_of(const std::string& folder, SizePx resolution = {64, 64}) {
  DatasetConfig config;
  config.resolution = resolution;
  config.enable_bucket = true;
  config.min_bucket_reso = 64;
  config.max_bucket_reso = 256;
  config.subsets.resize(1);
  config.subsets[0].image_dir = folder;
  config.subsets[0].caption_extension = ".txt";
  return config;
}

std::string build_error(const DatasetConfig& config, const DatasetGroupOptions& options = {}) {
  return error_of([&] { DatasetGroup({config}, options); });
}

TEST(DatasetGroup, EveryBadFileIsInOneError) {
  ScratchFolder folder;
  folder.add_pictures("set", 3);
  const std::string png = read_file(folder / "set/p0.png");
  folder.write("set/cut.png", png.substr(0, png.size() / 2));
  folder.write("set/page.jpg", "<!DOCTYPE html><html>");
  folder.write("set/p1.txt", "");
  folder.write("set/p2.txt", "\xff");
  folder.write("set/p2.jpg", png);
  const std::string error = build_error(dataset_of(folder / "set"));
  EXPECT_THAT(error, AllOf(HasSubstr("5 problems"), HasSubstr("cut.png"), HasSubstr("page.jpg"), HasSubstr("p1.txt"),
                           HasSubstr("p2.txt"), HasSubstr("have the same name but for the extension")));
}

TEST(DatasetGroup, FoldersWithoutImages) {
  ScratchFolder folder;
  folder.write("set/a.txt", "caption");
  folder.write("set/._b.png", "resource fork");
  EXPECT_THAT(build_error(dataset_of(folder / "set")), AllOf(HasSubstr("no images"), HasSubstr("1 .txt")));
  EXPECT_THAT(build_error(dataset_of(folder / "none")), HasSubstr("no such folder"));
}

TEST(DatasetGroup, MacFilesAndMixedCaseAreLeftOut) {
  ScratchFolder folder;
  folder.add_pictures("set", 2);
  folder.write("set/._p0.png", "resource fork");
  fs::copy_file(folder / "set/p0.png", folder / "set/q.Png");
  fs::copy_file(folder / "set/p0.png", folder / "set/r.PNG");
  const DatasetGroup group({dataset_of(folder / "set")}, {});
  EXPECT_EQ(group.num_train_images(), 3);
}

TEST(DatasetGroup, WithoutBucketsSizesMustFit) {
  ScratchFolder folder;
  folder.add_pictures("set", 3);
  auto config = dataset_of(folder / "set");
  config.enable_bucket = false;
  EXPECT_THAT(build_error(config), AllOf(HasSubstr("2 problems"), HasSubstr("p1.png: it is 80x64")));
  config.subsets[0].random_crop = true;
  EXPECT_EQ(build_error(config), "");
  config.resolution = {128, 128};
  EXPECT_THAT(build_error(config), HasSubstr("smaller than the resolution 128x128"));
  EXPECT_THAT(build_error(config, {.seed = 0, .cache_latents = true}), HasSubstr("random_crop cannot be used"));
  config.subsets[0].random_crop = false;
  EXPECT_EQ(build_error(config, {.seed = 0, .cache_latents = true}), "");
}

TEST(DatasetGroup, ImagesAreTurnedUprightUnlessTheReferenceIsFollowed) {
  const DatasetGroup upright({dataset_of(kData + "/rotated")}, {});
  EXPECT_EQ(upright.datasets()[0].images[0].size, (SizePx{64, 96}));
  const DatasetGroup stored({dataset_of(kData + "/rotated")}, {.seed = 0, .reference_quirks = true});
  EXPECT_EQ(stored.datasets()[0].images[0].size, (SizePx{96, 64}));
}

TEST(DatasetGroup, AnEpochCanBePlannedAgain) {
  auto config = dataset_of(kData + "/pictures/3_ohwx cat");
  config.batch_size = 3;
  config.subsets[0].num_repeats = 2;
  config.subsets[0].shuffle_caption = true;
  config.subsets[0].flip_aug = true;
  DatasetGroup group({config}, {.seed = 5});
  PythonRandom random(5);
  std::vector<std::vector<BatchPlan>> plans;
  std::vector<std::vector<uint32_t>> states;
  for (int epoch = 0; epoch < 4; ++epoch) {
    states.push_back(random.state());
    plans.push_back(group.plan_epoch(epoch, 100 + epoch, random));
  }
  EXPECT_NE(plans[1], plans[2]);
  DatasetGroup fresh({config}, {.seed = 5});
  for (const int epoch : {2, 3, 0}) {
    PythonRandom resumed;
    resumed.set_state(states[epoch]);
    EXPECT_EQ(fresh.plan_epoch(epoch, 100 + epoch, resumed), plans[epoch]) << epoch;
  }
}

TEST(DatasetGroup, RegularisationImagesMatchTheTrainingImages) {
  ScratchFolder folder;
  folder.add_pictures("train", 5);
  folder.add_pictures("few", 2);
  folder.add_pictures("many", 5);
  auto config = dataset_of(folder / "train");
  config.subsets[0].num_repeats = 2;
  config.subsets.push_back(config.subsets[0]);
  config.subsets[1].is_reg = true;
  config.subsets[1].image_dir = folder / "few";
  const DatasetGroup few({config}, {});
  EXPECT_EQ(few.datasets()[0].images[5].num_repeats, 5);
  EXPECT_EQ(few.datasets()[0].images[6].num_repeats, 5);
  EXPECT_EQ(few.num_reg_images(), 4);

  config.subsets[1].image_dir = folder / "many";
  config.subsets[1].num_repeats = 4;
  const DatasetGroup many({config}, {});
  EXPECT_EQ(many.datasets()[0].images.size(), 8u);
  EXPECT_EQ(many.num_reg_images(), 20);
}

TEST(BatchLoader, KeepsOrderAndPassesErrorsOn) {
  ScratchFolder folder;
  folder.add_pictures("set", 5);
  DatasetGroup group({dataset_of(folder / "set")}, {});
  PythonRandom random(1);
  const auto plans = group.plan_epoch(0, 1, random);
  ASSERT_EQ(plans.size(), 5u);
  for (const int threads : {0, 1, 4}) {
    BatchLoader loader(group, plans, threads, 1);
    for (size_t i = 1; i < plans.size(); ++i) {
      const auto batch = loader.next();
      ASSERT_TRUE(batch);
      EXPECT_EQ(loader.plan(), plans[i]);
      EXPECT_EQ(batch->files[0], group.datasets()[0].images[plans[i].samples[0].image].path);
      EXPECT_EQ(batch->images.sizes()[1], 3);
    }
    EXPECT_FALSE(loader.next());
  }
  const std::string gone = group.datasets()[0].images[plans[2].samples[0].image].path;
  fs::remove(gone);
  BatchLoader loader(group, plans, 2);
  EXPECT_TRUE(loader.next());
  EXPECT_TRUE(loader.next());
  EXPECT_THAT(error_of([&] { loader.next(); }), HasSubstr(gone));
}

TEST(BatchLoader, CanBeLeftEarly) {
  DatasetGroup group({dataset_of(kData + "/pictures/plain")}, {});
  PythonRandom random(1);
  BatchLoader loader(group, group.plan_epoch(0, 1, random), 3);
  EXPECT_TRUE(loader.next());
}

TEST(DatasetGroup, AnImageThatChangesDuringTheRunIsNoticed) {
  ScratchFolder folder;
  folder.add_pictures("set", 1);
  DatasetGroup group({dataset_of(folder / "set")}, {});
  PythonRandom random(1);
  const auto plans = group.plan_epoch(0, 1, random);
  fs::copy_file(kData + "/pictures/plain/p1.png", folder / "set/p0.png", fs::copy_options::overwrite_existing);
  EXPECT_THAT(error_of([&] { group.load(plans[0]); }), HasSubstr("80x64 but was 64x64"));
}

}  // namespace
}  // namespace difftune
