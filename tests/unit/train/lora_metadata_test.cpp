#include "train/lora_metadata.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "base/error.h"
#include "base/sha256.h"
#include "options/read_options.h"

namespace difftune {
namespace {

using testing::ElementsAre;
using testing::Key;

// What differs from run to run, or names the program.
const std::set<std::string> kVolatile = {
    "ss_session_id",   "ss_training_started_at",          "ss_training_finished_at", "ss_output_name",
    "sshs_model_hash", "ss_sd_scripts_commit_hash",       "sshs_legacy_hash",        "modelspec.date",
    "modelspec.title", "modelspec.implementation_version"};

TrainNetworkOptions options_of(const std::string& command) {
  std::istringstream text(command);
  std::vector<std::string> words{std::istream_iterator<std::string>(text), {}};
  words.erase(words.begin());
  TrainNetworkOptions options;
  OptionTable table = describe(options);
  read_options(table, words);
  validate(options);
  return options;
}

TrainNetworkOptions folder_run(const std::string& more = "") {
  return options_of(
      "train_network --pretrained_model_name_or_path m.safetensors --train_data_dir images --resolution 512,768 "
      "--network_module networks.lora --output_dir out --output_name cat " +
      more);
}

FamilyInfo sd1() {
  FamilyInfo family;
  family.base_model_version = "sd_v1";
  family.modelspec_architecture = "stable-diffusion-v1";
  family.modelspec_implementation = "diffusers";
  family.modelspec_prediction_type = "epsilon";
  family.default_resolution_px = 512;
  return family;
}

FamilyInfo sd2_v() {
  FamilyInfo family = sd1();
  family.base_model_version = "sd_v2_v";
  family.modelspec_architecture = "stable-diffusion-v2-768-v";
  family.modelspec_prediction_type = "v";
  family.default_resolution_px = 768;
  return family;
}

Metadata saved(const TrainNetworkOptions& options, const LoraRunFacts& facts = {}, const FamilyInfo& family = sd1(),
               const Metadata& dataset = {}) {
  return LoraMetadata(options, family, dataset, facts).at_save(1, 10, 1795410965.234786);
}

// Compares with a run of the reference; see tests/data/train/make_metadata.py.
void expect_recorded(const std::string& name, const FamilyInfo& family) {
  const auto recorded = nlohmann::json::parse(read_file(TEST_DATA_DIR "/train/" + name + "_metadata.json"));
  const auto expected = recorded["metadata"].get<Metadata>();
  Metadata dataset;
  for (const char* key :
       {"ss_num_train_images", "ss_num_reg_images", "ss_datasets", "ss_tag_frequency", "ss_dataset_dirs"}) {
    dataset[key] = expected.at(key);
  }
  LoraRunFacts facts;
  facts.seed = 42;
  facts.num_epochs = 1;
  facts.num_batches_per_epoch = 24;
  facts.optimizer = "torch.optim.adamw.AdamW";
  const TrainNetworkOptions options = options_of(recorded["command"]);
  facts.max_train_steps = options.training.max_train_steps;
  facts.model.name = options.model.pretrained_model_name_or_path;
  facts.model.legacy_hash = expected.at("ss_sd_model_hash");
  facts.model.sha256 = expected.at("ss_new_sd_model_hash");
  const Metadata actual =
      LoraMetadata(options, family, dataset, facts).at_save(1, facts.max_train_steps, 1795410965.234786);
  for (const auto& [key, value] : expected) {
    if (key.starts_with("sshs_")) continue;  // added by lora_hashes()
    const auto found = actual.find(key);
    ASSERT_NE(found, actual.end()) << key;
    if (kVolatile.contains(key)) continue;
    EXPECT_EQ(found->second, value) << key;
  }
  for (const auto& [key, value] : actual) EXPECT_TRUE(expected.contains(key)) << key << " is not the reference's";
}

TEST(LoraMetadata, EqualsARecordedSd15Run) { expect_recorded("sd15_lora", sd1()); }
TEST(LoraMetadata, EqualsARecordedSd21Run) { expect_recorded("sd21_lora", sd2_v()); }

TEST(LoraMetadata, TimesAndNames) {
  LoraRunFacts facts;
  facts.started_at = 1795410903.2929876;
  const Metadata m = saved(folder_run(), facts);
  EXPECT_EQ(m.at("ss_training_started_at"), "1795410903.2929876");
  EXPECT_EQ(m.at("ss_training_finished_at"), "1795410965.234786");
  EXPECT_EQ(m.at("ss_output_name"), "cat");
  EXPECT_EQ(m.at("modelspec.title"), "cat");
  EXPECT_EQ(m.at("ss_sd_scripts_commit_hash"), m.at("modelspec.implementation_version"));
}

TEST(LoraMetadata, OfARunOnFolders) {
  const Metadata m = saved(folder_run("--train_batch_size 2 --gradient_accumulation_steps 3 --keep_tokens 1 "
                                      "--shuffle_caption --flip_aug"),
                           {}, sd1(), {{"ss_bucket_info", "null"}});
  EXPECT_EQ(m.at("ss_resolution"), "(512, 768)");
  EXPECT_EQ(m.at("ss_batch_size_per_device"), "2");
  EXPECT_EQ(m.at("ss_total_batch_size"), "6");
  EXPECT_EQ(m.at("ss_shuffle_caption"), "True");
  EXPECT_EQ(m.at("ss_flip_aug"), "True");
  EXPECT_EQ(m.at("ss_keep_tokens"), "1");
  EXPECT_EQ(m.at("ss_bucket_info"), "null");
  EXPECT_EQ(m.at("modelspec.resolution"), "512x768");
}

TEST(LoraMetadata, NumbersAsPythonPrintsThem) {
  const Metadata m = saved(
      folder_run("--learning_rate 1e-5 --unet_lr 0.0001 --text_encoder_lr 5e-5 --lr_scheduler constant_with_warmup "
                 "--lr_warmup_steps 10% --min_snr_gamma 5 --max_train_epochs 2"));
  EXPECT_EQ(m.at("ss_network_alpha"), "1");
  EXPECT_EQ(m.at("ss_learning_rate"), "1e-05");
  EXPECT_EQ(m.at("ss_unet_lr"), "0.0001");
  EXPECT_EQ(m.at("ss_text_encoder_lr"), "5e-05");
  EXPECT_EQ(m.at("ss_lr_warmup_steps"), "0.1");
  EXPECT_EQ(m.at("ss_min_snr_gamma"), "5.0");
}

TEST(LoraMetadata, NetworkArgs) {
  EXPECT_FALSE(saved(folder_run()).contains("ss_network_args"));
  const auto args = [](const std::string& words) { return saved(folder_run(words)).at("ss_network_args"); };
  EXPECT_EQ(args("--network_args conv_dim=8 conv_alpha=4"), R"({"conv_dim": "8", "conv_alpha": "4", "dropout": null})");
  EXPECT_EQ(args("--network_dropout 0.1 --network_args conv_dim=8"), R"({"conv_dim": "8", "dropout": 0.1})");
  EXPECT_EQ(args("--network_args dropout=0.2 a=x=\"y a=2"), R"({"dropout": "0.2", "a": "2"})");
  EXPECT_EQ(args("--network_args a=x=\"y"), R"({"a": "x=\"y", "dropout": null})");
  EXPECT_EQ(args("--network_args a=1 --dim_from_weights --network_weights w.safetensors"), R"({"a": "1"})");
}

TEST(LoraMetadata, AnOptimizerWithItsOwnLearningRate) {
  LoraRunFacts facts;
  facts.optimizer = "transformers.optimization.Adafactor(relative_step=True)";
  facts.optimizer_sets_own_lr = true;
  const Metadata m = saved(folder_run("--optimizer_type Adafactor --learning_rate 1e-3 --unet_lr 1e-4"), facts);
  EXPECT_EQ(m.at("ss_optimizer"), facts.optimizer);
  EXPECT_EQ(m.at("ss_learning_rate"), "None");
  EXPECT_EQ(m.at("ss_unet_lr"), "None");
  EXPECT_EQ(m.at("ss_lr_scheduler"), "adafactor:0.001");
}

TEST(LoraMetadata, NoMetadataKeepsWhatLoadingNeeds) {
  Metadata m = saved(folder_run("--no_metadata --network_args conv_dim=8"));
  std::erase_if(m, [](const auto& entry) { return entry.first.starts_with("modelspec."); });
  EXPECT_THAT(m, ElementsAre(Key("ss_base_model_version"), Key("ss_network_alpha"), Key("ss_network_args"),
                             Key("ss_network_dim"), Key("ss_network_module"), Key("ss_v2")));
}

TEST(LoraMetadata, OfAVae) {
  LoraRunFacts facts;
  facts.model = {"m.safetensors", "01234567", "ab"};
  facts.vae = {"stabilityai/sd-vae-ft-mse", std::nullopt, std::nullopt};
  const Metadata m = saved(folder_run(), facts);
  EXPECT_EQ(m.at("ss_sd_model_hash"), "01234567");
  EXPECT_EQ(m.at("ss_new_sd_model_hash"), "ab");
  EXPECT_EQ(m.at("ss_vae_name"), "stabilityai/sd-vae-ft-mse");
  EXPECT_FALSE(m.contains("ss_vae_hash"));
}

TEST(ModelFileIdentity, OfAFileAFolderAndANameElsewhere) {
  const fs::path folder = fs::path(testing::TempDir()) / fmt::format("difftune_identity_{}", getpid());
  fs::create_directories(folder);
  const std::string content((1 << 20) + 70000, 'x');
  write_file_atomically(folder / "m.safetensors", content);
  const ModelFileIdentity file = identify_model_file((folder / "m.safetensors").string());
  EXPECT_EQ(file.name, "m.safetensors");
  EXPECT_EQ(file.sha256, sha256_hex(content));
  EXPECT_EQ(file.legacy_hash, sha256_hex(content.substr(1 << 20, 1 << 16)).substr(0, 8));
  EXPECT_EQ(identify_model_file(folder.string()).sha256, "IsADirectory");
  EXPECT_EQ(identify_model_file("owner/model").name, "owner/model");
  EXPECT_FALSE(identify_model_file("owner/model").sha256);
  fs::remove_all(folder);
}

}  // namespace
}  // namespace difftune
