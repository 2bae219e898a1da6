#include "data/buckets.h"

#include "test_data.h"

namespace difftune {
namespace {

using nlohmann::json;

TEST(Buckets, AreThoseOfTheReference) {
  for (const auto& c : read_json("expected_buckets.json")) {
    const SizePx resolution{c.at("resolution")[0], c.at("resolution")[1]};
    const int step = c.at("step");
    const bool no_upscale = c.at("no_upscale");
    std::vector<SizePx> predefined;
    if (!no_upscale) {
      predefined = predefined_buckets(resolution, c.at("min"), c.at("max"), step);
      json sizes = json::array();
      for (const auto size : predefined) sizes.push_back({size.width, size.height});
      EXPECT_EQ(sizes, c.at("predefined"));
    }
    for (const auto& row : c.at("rows")) {
      const SizePx image{row[0], row[1]};
      const BucketChoice choice = no_upscale ? choose_bucket_without_upscale(image, resolution, step)
                                             : choose_predefined_bucket(image, predefined);
      const CropBox crop = letterbox_crop(choice.bucket, image);
      const json got{image.width,
                     image.height,
                     choice.bucket.width,
                     choice.bucket.height,
                     choice.resized.width,
                     choice.resized.height,
                     choice.aspect_error,
                     crop.left,
                     crop.top,
                     crop.right,
                     crop.bottom};
      EXPECT_EQ(got, row);
    }
  }
}

TEST(Buckets, MeanIsNumPys) {
  for (const auto& row : read_json("means.json")) {
    std::vector<double> values(row[0].get<size_t>());
    for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>((i * 7919 + 13) % 1009) / 3.0;
    EXPECT_EQ(numpy_mean(values), row[1].get<double>()) << values.size();
  }
  EXPECT_EQ(numpy_mean({}), 0.0);
}

TEST(Buckets, OptionsAreRoundedAndChecked) {
  DatasetConfig config;
  config.resolution = {512, 512};
  config.min_bucket_reso = 300;
  config.max_bucket_reso = 1000;
  check_bucket_options(config, 64);
  EXPECT_EQ(config.min_bucket_reso, 256);
  EXPECT_EQ(config.max_bucket_reso, 1024);

  config.bucket_reso_steps = 32;
  EXPECT_THAT(error_of([&] { check_bucket_options(config, 64); }), testing::HasSubstr("multiple of 64"));
  config.bucket_reso_steps = 64;
  config.min_bucket_reso = 576;
  EXPECT_THAT(error_of([&] { check_bucket_options(config, 64); }), testing::HasSubstr("min_bucket_reso 576"));
  config.min_bucket_reso = 256;
  config.max_bucket_reso = 448;
  EXPECT_THAT(error_of([&] { check_bucket_options(config, 64); }), testing::HasSubstr("max_bucket_reso 448"));
  config.min_bucket_reso = 40;
  EXPECT_THAT(error_of([&] { check_bucket_options(config, 64); }), testing::HasSubstr("min_bucket_reso 0"));
}

TEST(Buckets, TooSmallForAStep) {
  EXPECT_THAT(error_of([] { choose_bucket_without_upscale({40, 500}, {512, 512}, 64); }), testing::HasSubstr("40x500"));
  EXPECT_THAT(error_of([] {
                choose_bucket_without_upscale({30000, 60}, {512, 512}, 64);
              }),
              testing::HasSubstr("aspect ratio"));
}

}  // namespace
}  // namespace difftune
