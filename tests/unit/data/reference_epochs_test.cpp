// Whole epochs against the reference: expected_*.json hold what its dataset, sampler and collator gave (see README.md
// in tests/data/data).

#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/cat.h>

#include "data/batch_loader.h"
#include "data/dataset_group.h"
#include "data/dataset_metadata.h"
#include "data/latent_cache.h"
#include "test_data.h"

namespace difftune {
namespace {

using nlohmann::json;

struct Run {
  uint64_t seed;
  EpochContext context;
  bool cache = false;
  bool from_file = true;
};

DatasetDefaults folder_defaults() {
  DatasetDefaults defaults;
  defaults.dataset.resolution = {128, 128};
  defaults.dataset.batch_size = 2;
  defaults.dataset.enable_bucket = true;
  defaults.dataset.min_bucket_reso = 64;
  defaults.dataset.max_bucket_reso = 256;
  defaults.dataset.prior_loss_weight = 0.7;
  defaults.subset.caption_extension = ".txt";
  return defaults;
}

json sizes_hw(const std::vector<SizePx>& sizes) {
  json list = json::array();
  for (const auto size : sizes) list.push_back({size.height, size.width});
  return list;
}

// The batch as the recording script writes it.
json describe(const Batch& batch, const BatchPlan& plan) {
  json tops = json::array(), flips = json::array();
  for (const auto point : batch.crop_top_lefts) tops.push_back({point.y, point.x});
  for (const auto& sample : plan.samples) flips.push_back(sample.flip);
  const float* weights = batch.loss_weights.const_data_ptr<float>();
  json result{{"files", batch.files},
              {"captions", batch.captions},
              {"flips", flips},
              {"weights", std::vector<double>(weights, weights + batch.loss_weights.numel())},
              {"original_hw", sizes_hw(batch.original_sizes)},
              {"crop_tl", tops},
              {"target_hw", sizes_hw(batch.target_sizes)}};
  if (batch.images.defined()) result["images"] = hash_of(batch.images);
  if (batch.latents.defined()) result["latents"] = hash_of(batch.latents);
  if (batch.alpha_masks.defined()) result["alpha_masks"] = hash_of(batch.alpha_masks);
  if (!plan.step_draws.empty()) result["draws"] = plan.step_draws;
  return result;
}

// The recording script's stand-in for a VAE.
at::Tensor encode_by_pooling(const at::Tensor& images) {
  const at::Tensor pooled = at::avg_pool2d(images, 8);
  return at::cat({pooled, pooled.mean(1, true)}, 1);
}

void cache_and_check(DatasetGroup& group, const json& expected) {
  json encoded = json::array();
  const EncodeImages encode = [&](const at::Tensor& images) {
    encoded.push_back({images.sizes().vec(), hash_of(images)});
    return encode_by_pooling(images);
  };
  cache_latents(group, encode, {.to_disk = false, .vae_batch_size = 2});
  EXPECT_EQ(encoded, expected.at("encoded"));
}

void check(const std::string& name, std::vector<DatasetConfig> configs, const Run& run) {
  const json expected = read_json("expected_" + name + ".json");
  DatasetGroup group(std::move(configs), {.seed = run.seed, .cache_latents = run.cache, .reference_quirks = true});
  EXPECT_EQ(group.order_seed(), expected.at("order_seed").get<uint64_t>());
  for (const auto& [key, value] : dataset_metadata(group, run.from_file)) {
    EXPECT_EQ(value, expected.at("metadata").at(key).get<std::string>()) << key;
  }
  if (run.cache) cache_and_check(group, expected);

  PythonRandom random(run.seed);
  int64_t epoch = 0;
  for (const auto& expected_epoch : expected.at("epochs")) {
    const auto plans = group.plan_epoch(epoch++, expected_epoch.at("sampler_seed"), random, run.context);
    ASSERT_EQ(plans.size(), expected_epoch.at("batches").size());
    BatchLoader loader(group, plans, 2);
    for (const auto& expected_batch : expected_epoch.at("batches")) {
      const auto batch = loader.next();
      ASSERT_TRUE(batch);
      ASSERT_EQ(describe(*batch, loader.plan()), expected_batch) << name << " epoch " << epoch;
    }
    EXPECT_FALSE(loader.next());
  }
  EXPECT_EQ(random.random(), expected.at("next_random").get<double>());
}

using ReferenceEpochs = InDataFolder;

TEST_F(ReferenceEpochs, AllCaptionOptionsAndRandomCrops) {
  check("mixed", read_dataset_config("mixed.toml", {}), {.seed = 42, .context = {40, 2, {}}});
}

TEST_F(ReferenceEpochs, DrawsOfTheTrainingStepInterleave) {
  const auto draw = [](BatchPlan& plan, PythonRandom& random) { plan.step_draws.push_back(random.random()); };
  check("mixed_multires", read_dataset_config("mixed.toml", {}), {.seed = 1234, .context = {40, 1, draw}});
}

TEST_F(ReferenceEpochs, WithoutBuckets) {
  check("plain", read_dataset_config("plain.toml", {}), {.seed = 42, .context = {40, 3, {}}});
}

TEST_F(ReferenceEpochs, FoldersWithRegularisation) {
  const auto configs = dataset_config_from_folders("pictures", "regularisation", folder_defaults());
  check("folders", configs, {.seed = 7, .context = {40, 1, {}}, .from_file = false});
}

TEST_F(ReferenceEpochs, LanczosResizing) {
  auto defaults = folder_defaults();
  defaults.dataset.resize_interpolation = "lanczos";
  defaults.subset.caption_prefix = "x";
  const auto configs = dataset_config_from_folders("pictures/", "regularisation", defaults);
  check("folders_lanczos", configs, {.seed = 7, .context = {40, 1, {}}, .from_file = false});
}

TEST_F(ReferenceEpochs, CachedLatents) {
  DatasetDefaults defaults;
  defaults.applies_alpha_mask = true;
  check("cached", read_dataset_config("cached.toml", defaults), {.seed = 42, .context = {40, 1, {}}, .cache = true});
}

}  // namespace
}  // namespace difftune
