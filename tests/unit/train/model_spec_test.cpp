#include "train/model_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

#include "base/error.h"

namespace difftune {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

ModelSpec sd1_lora() {
  ModelSpec spec;
  spec.architecture = "stable-diffusion-v1/lora";
  spec.implementation = "diffusers";
  spec.title = "cat";
  spec.resolution = {512, 512};
  spec.prediction_type = "epsilon";
  return spec;
}

std::string thumbnail_error(const std::string& value) {
  MetadataOptions options;
  options.metadata_thumbnail = value;
  try {
    embed_thumbnail(options);
  } catch (const UserError& error) {
    return error.what();
  }
  return "";
}

TEST(ModelSpec, WhatEveryFileHas) {
  const Metadata expected = {{"modelspec.sai_model_spec", "1.0.1"},
                             {"modelspec.architecture", "stable-diffusion-v1/lora"},
                             {"modelspec.implementation", "diffusers"},
                             {"modelspec.implementation_version", std::string(kImplementationVersion)},
                             {"modelspec.title", "cat"},
                             {"modelspec.resolution", "512x512"},
                             {"modelspec.prediction_type", "epsilon"}};
  EXPECT_EQ(model_spec_entries(sd1_lora(), {}), expected);
}

TEST(ModelSpec, WhatIsKnownOrGiven) {
  ModelSpec spec = sd1_lora();
  spec.prediction_type.reset();
  spec.timestep_range = {100, 1000};
  spec.encoder_layer = 2;
  MetadataOptions options;
  options.metadata_title = "A cat";
  options.metadata_author = "me";
  options.metadata_description = "d";
  options.metadata_license = "CC0";
  options.metadata_tags = "cat,animal";
  options.metadata_usage_hint = "h";
  options.metadata_thumbnail = "data:image/png;base64,AA==";
  options.metadata_merged_from = "a, b";
  options.metadata_trigger_phrase = "sks";
  options.metadata_preprocessor = "canny";
  options.metadata_is_negative_embedding = "true";
  const Metadata m = model_spec_entries(spec, options);
  EXPECT_FALSE(m.contains("modelspec.prediction_type"));
  EXPECT_EQ(m.at("modelspec.timestep_range"), "100,1000");
  EXPECT_EQ(m.at("modelspec.encoder_layer"), "2");
  EXPECT_EQ(m.at("modelspec.title"), "A cat");
  EXPECT_EQ(m.at("modelspec.author"), "me");
  EXPECT_EQ(m.at("modelspec.description"), "d");
  EXPECT_EQ(m.at("modelspec.license"), "CC0");
  EXPECT_EQ(m.at("modelspec.tags"), "cat,animal");
  EXPECT_EQ(m.at("modelspec.usage_hint"), "h");
  EXPECT_EQ(m.at("modelspec.thumbnail"), "data:image/png;base64,AA==");
  EXPECT_EQ(m.at("modelspec.merged_from"), "a, b");
  EXPECT_EQ(m.at("modelspec.trigger_phrase"), "sks");
  EXPECT_EQ(m.at("modelspec.preprocessor"), "canny");
  EXPECT_EQ(m.at("modelspec.is_negative_embedding"), "true");
}

TEST(ModelSpec, DateIsLocalTime) {
  const char* zone = std::getenv("TZ");
  const std::string before = zone ? zone : "";
  setenv("TZ", "XYZ-5:30", 1);
  tzset();
  Metadata m;
  add_time(sd1_lora(), 1795410965.9, m);
  zone ? setenv("TZ", before.c_str(), 1) : unsetenv("TZ");
  tzset();
  EXPECT_EQ(m.at("modelspec.date"), "2026-11-23T10:46:05");
}

TEST(ModelSpec, TitleOfAFileWithoutAName) {
  ModelSpec spec = sd1_lora();
  spec.title.reset();
  Metadata m = model_spec_entries(spec, {});
  EXPECT_FALSE(m.contains("modelspec.title"));
  add_time(spec, 1795410965.234786, m);
  EXPECT_EQ(m.at("modelspec.title"), "LoRA@1795410965.234786");
}

TEST(ModelSpec, ThumbnailFileBecomesADataUrl) {
  MetadataOptions options;
  options.metadata_thumbnail = TEST_DATA_DIR "/image/grey.png";
  const size_t size = read_file(*options.metadata_thumbnail).size();
  embed_thumbnail(options);
  const std::string url = *options.metadata_thumbnail;
  EXPECT_THAT(url, StartsWith("data:image/png;base64,iVBORw0KGgo"));
  EXPECT_EQ(url.size(), 22 + (size + 2) / 3 * 4);
  embed_thumbnail(options);
  EXPECT_EQ(options.metadata_thumbnail, url);
}

TEST(ModelSpec, BadThumbnailsAreRefused) {
  EXPECT_THAT(thumbnail_error("nowhere.png"), HasSubstr("nowhere.png: there is no such file"));
  EXPECT_THAT(thumbnail_error(TEST_DATA_DIR), HasSubstr("there is no such file"));
  EXPECT_THAT(thumbnail_error(TEST_DATA_DIR "/train/make_metadata.py"), HasSubstr("make_metadata.py"));
}

}  // namespace
}  // namespace difftune
