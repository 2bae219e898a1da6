#include "data/dataset_config.h"

#include "test_data.h"

namespace difftune {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class DatasetConfigFile : public testing::Test {
 protected:
  std::vector<DatasetConfig> read(const std::string& text, const std::string& name = "data.toml") {
    folder_.write(name, text);
    return read_dataset_config(folder_ / name, defaults_);
  }
  std::string error(const std::string& text, const std::string& name = "data.toml") {
    return error_of([&] { read(text, name); });
  }
  // A file whose [[datasets.subsets]] holds `lines` from line 4 on.
  std::string subset_error(const std::string& lines) {
    return error("[[datasets]]\nresolution = 512\n[[datasets.subsets]]\n" + lines + "\nimage_dir = 'x'\n");
  }

  ScratchFolder folder_;
  DatasetDefaults defaults_;
};

TEST_F(DatasetConfigFile, TheNearestTableDecides) {
  defaults_.dataset.batch_size = 7;
  defaults_.dataset.prior_loss_weight = 0.5;
  defaults_.subset.caption_extension = ".caption";
  defaults_.subset.keep_tokens = 9;
  const auto configs = read(R"(
[general]
resolution = 512
keep_tokens = 1
flip_aug = true
caption_dropout_rate = 1
[[datasets]]
keep_tokens = 2
resolution = [640, 384]
  [[datasets.subsets]]
  image_dir = "a/"
  keep_tokens = 3
  flip_aug = false
  [[datasets.subsets]]
  image_dir = 'b'
[[datasets]]
batch_size = 4
  [[datasets.subsets]]
  image_dir = "a"
)");
  ASSERT_EQ(configs.size(), 2u);
  EXPECT_EQ(configs[0].resolution, (SizePx{640, 384}));
  EXPECT_EQ(configs[0].batch_size, 7);
  EXPECT_EQ(configs[0].prior_loss_weight, 0.5);
  EXPECT_EQ(configs[1].resolution, (SizePx{512, 512}));
  EXPECT_EQ(configs[1].batch_size, 4);
  const auto& first = configs[0].subsets.at(0);
  EXPECT_EQ(first.image_dir, "a");
  EXPECT_EQ(first.keep_tokens, 3);
  EXPECT_FALSE(first.flip_aug);
  EXPECT_EQ(first.caption_extension, ".caption");
  EXPECT_EQ(first.caption_dropout_rate, 1.0);
  EXPECT_EQ(configs[0].subsets.at(1).keep_tokens, 2);
  EXPECT_TRUE(configs[0].subsets.at(1).flip_aug);
  EXPECT_EQ(configs[1].subsets.at(0).keep_tokens, 1);
}

TEST_F(DatasetConfigFile, JsonIsReadToo) {
  const auto configs =
      read(R"({"datasets": [{"resolution": 64, "subsets": [{"image_dir": "a", "num_repeats": 3}]}]})", "data.json");
  EXPECT_EQ(configs.at(0).subsets.at(0).num_repeats, 3);
  EXPECT_THAT(error("{", "data.json"), AllOf(HasSubstr("data.json"), HasSubstr("not valid JSON")));
  EXPECT_THAT(error("[1]", "data.json"), HasSubstr("expected a JSON object"));
  EXPECT_THAT(error(R"({"datasets": null})", "data.json"), HasSubstr("got null"));
}

TEST_F(DatasetConfigFile, UnknownAndMisplacedKeys) {
  EXPECT_THAT(subset_error("num_repeat = 3"), AllOf(HasSubstr("data.toml:4"), HasSubstr("did you mean num_repeats?")));
  EXPECT_THAT(subset_error("batch_size = 3"), AllOf(HasSubstr("data.toml:4"), HasSubstr("belongs in [[datasets]]")));
  EXPECT_THAT(error("[general]\nimage_dir = 'x'\n[[datasets]]\n"),
              AllOf(HasSubstr(":2: image_dir"), HasSubstr("belongs in [[datasets.subsets]]")));
  EXPECT_THAT(error("[genral]\n"), HasSubstr("did you mean general?"));
  EXPECT_THAT(error("[[datasets]]\nresolutoin = 5\n[[datasets.subsets]]\nimage_dir='x'"), HasSubstr("resolution"));
  EXPECT_THAT(error("[general]\nresolution = 64\nflip_augg = true\n[[datasets]]\n[[datasets.subsets]]\nimage_dir='x'"),
              AllOf(HasSubstr(":3: flip_augg"), HasSubstr("flip_aug?")));
}

TEST_F(DatasetConfigFile, WrongTypesAndRanges) {
  EXPECT_THAT(subset_error("num_repeats = '3'"), AllOf(HasSubstr("data.toml:4: num_repeats"), HasSubstr("got a text")));
  EXPECT_THAT(subset_error("flip_aug = 1"), HasSubstr("expected true or false"));
  EXPECT_THAT(subset_error("caption_dropout_rate = 1.5"), HasSubstr("expected 0 to 1, got 1.5"));
  EXPECT_THAT(subset_error("keep_tokens = -1"), HasSubstr("expected at least 0"));
  EXPECT_THAT(subset_error("resize_interpolation = 'sinc'"), AllOf(HasSubstr("data.toml:4"), HasSubstr("lanczos")));
  EXPECT_THAT(error("[[datasets]]\nresolution = [1, 2, 3]"), HasSubstr("expected a size or [width, height]"));
  EXPECT_THAT(error("[[datasets]]\nresolution = 4"), HasSubstr("from 8 to"));
  EXPECT_THAT(error("datasets = 3"), HasSubstr("expected tables"));
  // A bad value is found where another table overrules it.
  EXPECT_THAT(error("[general]\nkeep_tokens = 'a'\n[[datasets]]\nresolution = 64\n[[datasets.subsets]]\nimage_dir = "
                    "'x'\nkeep_tokens = 1"),
              HasSubstr(":2: keep_tokens"));
}

TEST_F(DatasetConfigFile, MissingParts) {
  EXPECT_THAT(error(""), HasSubstr("no [[datasets]]"));
  EXPECT_THAT(error("[[datasets]]\n"), HasSubstr("resolution in [[datasets]]: missing"));
  EXPECT_THAT(error("[[datasets]]\nresolution = 64"), HasSubstr("subsets in [[datasets]]: missing"));
  EXPECT_THAT(error("[[datasets]]\nresolution = 64\n[[datasets.subsets]]\n"), HasSubstr("image_dir"));
  EXPECT_THAT(error_of([&] { read_dataset_config(folder_ / "none.toml", {}); }), HasSubstr("none.toml"));
}

TEST_F(DatasetConfigFile, WhatIsNotAvailableIsRefusedByName) {
  EXPECT_THAT(subset_error("metadata_file = 'm.json'"), AllOf(HasSubstr(":4: metadata_file"), HasSubstr("image_dir")));
  EXPECT_THAT(subset_error("conditioning_data_dir = 'c'"), HasSubstr("ControlNet"));
  EXPECT_THAT(subset_error("color_aug = true"), HasSubstr("color_aug"));
  EXPECT_THAT(subset_error("alpha_mask = true"), HasSubstr("alpha_mask"));
  EXPECT_THAT(subset_error("cache_info = true"), HasSubstr("cache_info"));
  EXPECT_THAT(subset_error("face_crop_aug_range = [1.0, 2.0]"), HasSubstr("face_crop_aug_range"));
  EXPECT_THAT(subset_error("custom_attributes = {a = 1}"), HasSubstr("custom_attributes"));
  EXPECT_THAT(error("[[datasets]]\nresolution = 64\nvalidation_split = 0.2"), HasSubstr("validation_split"));
  EXPECT_EQ(subset_error("color_aug = false\nalpha_mask = false\ncache_info = false\ncustom_attributes = {}"), "");
  defaults_.applies_alpha_mask = true;
  EXPECT_EQ(subset_error("alpha_mask = true"), "");
}

TEST_F(DatasetConfigFile, BadFiles) {
  EXPECT_THAT(error("[[datasets]]\nresolution = \n"), AllOf(HasSubstr("data.toml:2"), HasSubstr("not valid TOML")));
  EXPECT_THAT(error("# a\n# caf\xe9\n"), HasSubstr("data.toml:2: the file is not UTF-8"));
}

TEST_F(DatasetConfigFile, BucketOptionsAreCheckedWithTheirPlace) {
  EXPECT_THAT(error("[[datasets]]\nresolution = 512\nenable_bucket = true\nbucket_reso_steps = 32\n"),
              AllOf(HasSubstr("data.toml:3"), HasSubstr("multiple of 64")));
}

TEST(Resolution, OneOrTwoNumbers) {
  EXPECT_EQ(parse_resolution("512"), (SizePx{512, 512}));
  EXPECT_EQ(parse_resolution("768, 512"), (SizePx{768, 512}));
  for (const auto* bad : {"", "a", "512x512", "1,2,3", "512,", "-5", "4"}) {
    EXPECT_THAT(error_of([&] { parse_resolution(bad); }), HasSubstr("--resolution")) << bad;
  }
}

class FolderConvention : public testing::Test {
 protected:
  FolderConvention() { defaults_.dataset.resolution = {64, 64}; }
  std::vector<SubsetConfig> subsets(const std::string& train, const std::string& reg = "") {
    return dataset_config_from_folders(train, reg, defaults_).at(0).subsets;
  }

  ScratchFolder folder_;
  DatasetDefaults defaults_;
};

TEST_F(FolderConvention, NamesGiveRepeatsAndClass) {
  folder_.add_pictures("train/2_b_c", 1);
  folder_.add_pictures("train/10_a cat", 1);
  folder_.add_pictures("train/7", 1);
  folder_.add_pictures("train/0_zero", 1);
  folder_.add_pictures("train/other", 1);
  folder_.add_pictures("reg/1_cat", 1);
  const auto found = subsets(folder_ / "train/", folder_ / "reg");
  ASSERT_EQ(found.size(), 4u);
  EXPECT_EQ(found[0].num_repeats, 10);
  EXPECT_EQ(found[0].class_tokens, "a cat");
  EXPECT_EQ(found[1].num_repeats, 2);
  EXPECT_EQ(found[1].class_tokens, "b_c");
  EXPECT_EQ(found[2].num_repeats, 7);
  EXPECT_EQ(found[2].class_tokens, "");
  EXPECT_FALSE(found[2].is_reg);
  EXPECT_TRUE(found[3].is_reg);
}

TEST_F(FolderConvention, AFolderOfImagesIsASubset) {
  folder_.add_pictures("5_cat", 2);
  folder_.add_pictures("pictures", 2);
  EXPECT_EQ(subsets(folder_ / "5_cat").at(0).num_repeats, 5);
  EXPECT_EQ(subsets(folder_ / "5_cat").at(0).class_tokens, "cat");
  EXPECT_EQ(subsets(folder_ / "pictures").at(0).num_repeats, 1);
  EXPECT_EQ(subsets(folder_ / "pictures").at(0).class_tokens, std::nullopt);
}

TEST_F(FolderConvention, SaysWhatWasFound) {
  folder_.write("train/a.gif", "x");
  folder_.write("train/b.txt", "x");
  folder_.write("train/cats/c.txt", "x");
  EXPECT_THAT(error_of([&] { subsets(folder_ / "train"); }),
              AllOf(HasSubstr("--train_data_dir"), HasSubstr("REPEATS_NAME"), HasSubstr("1 .gif, 1 .txt"),
                    HasSubstr("1 subfolders (cats)")));
  EXPECT_THAT(error_of([&] { subsets(folder_ / "nowhere"); }), HasSubstr("no such folder"));
  EXPECT_THAT(error_of([&] { subsets(folder_ / "train/b.txt"); }), HasSubstr("got a file"));
  EXPECT_THAT(error_of([&] { subsets(""); }), HasSubstr("--train_data_dir is missing"));
  defaults_.dataset.resolution = {};
  EXPECT_THAT(error_of([&] { subsets(folder_ / "train"); }), HasSubstr("--resolution is missing"));
}

}  // namespace
}  // namespace difftune
