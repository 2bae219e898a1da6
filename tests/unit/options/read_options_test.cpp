#include "options/read_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "base/files.h"
#include "options/train_network_options.h"

namespace difftune {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using Words = std::vector<std::string>;

class ReadOptions : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("difftune_options_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string write(const std::string& text) {
    const fs::path path = folder_ / "lora.toml";
    write_file_atomically(path, text);
    return path.string();
  }
  ReadResult read(const Words& words) {
    options_ = {};
    table_ = describe(options_);
    return read_options(table_, words);
  }
  ReadResult read_file_text(const std::string& text, Words words = {}) {
    words.insert(words.begin(), {"--config_file", write(text)});
    return read(words);
  }
  std::string error_of_file(const std::string& text) {
    try {
      read_file_text(text);
    } catch (const UserError& e) {
      return e.what();
    }
    return "";
  }

  fs::path folder_;
  TrainNetworkOptions options_;
  OptionTable table_;
};

auto note(const std::string& text) {
  return AllOf(Field(&Remark::is_warning, false), Field(&Remark::text, HasSubstr(text)));
}
auto warning(const std::string& text) {
  return AllOf(Field(&Remark::is_warning, true), Field(&Remark::text, HasSubstr(text)));
}

TEST_F(ReadOptions, TakeSectionsAndLetTheCommandLineWin) {
  const auto result = read_file_text(
      "max_train_epochs = 3\n[training]\nseed = 1\nmixed_precision = \"bf16\"\n[more]\nv2 = true\n", {"--seed", "9"});
  EXPECT_EQ(result.outcome, ReadResult::Outcome::run);
  EXPECT_THAT(result.remarks, IsEmpty());
  EXPECT_EQ(options_.training.seed, 9);
  EXPECT_EQ(options_.training.max_train_epochs, 3);
  EXPECT_EQ(options_.compute.mixed_precision, "bf16");
  EXPECT_TRUE(options_.model.v2);
}

TEST_F(ReadOptions, AddTheEndingOfTheConfigFile) {
  const std::string path = write("seed = 4\n");
  read({"--config_file=" + path.substr(0, path.size() - 5)});
  EXPECT_EQ(options_.training.seed, 4);
}

TEST_F(ReadOptions, KeepWholeNumbersOfAFileWhole) {
  read_file_text("network_alpha = 16\nmin_snr_gamma = 5\nlr_warmup_steps = 10\n");
  EXPECT_EQ(python_str(options_.network.network_alpha), "16");
  EXPECT_EQ(python_str(options_.loss.min_snr_gamma), "5");
  EXPECT_TRUE(options_.lr_schedule.lr_warmup_steps.is_integer());
  read({"--network_alpha", "16", "--min_snr_gamma", "5"});
  EXPECT_EQ(python_str(options_.network.network_alpha), "16.0");
  EXPECT_EQ(python_str(options_.loss.min_snr_gamma), "5.0");
  EXPECT_EQ(python_str(options_.network.unet_lr), "None");
}

// What kohya_ss, lora-scripts and LoRA_Easy_Training_Scripts write.
TEST_F(ReadOptions, TakeWhatFrontEndsWrite) {
  const auto result = read_file_text(
      "epoch = 10\nnoise_offset_type = \"Original\"\nreg_data_dir = \"\"\nvae = \"\"\ntext_encoder_lr = 1e-5\n"
      "network_args = ['conv_dim=8']\nresolution = [512, 768]\nmax_token_length = 75\ndynamo_backend = \"no\"\n"
      "persistent_data_loader_workers = 1\nlog_prefix = \"\"\nlearning_rate = \"1e-4\"\nlr_warmup_steps = \"10%\"\n"
      "max_train_steps = 1000.0\noptimizer_args = []\nwandb_run_name = \"x\"\n");
  EXPECT_THAT(result.remarks,
              ElementsAre(note("lora.toml:1: epoch is a setting of a graphical front end"),
                          note("lora.toml:2: noise_offset_type"), note("persistent_data_loader_workers has no effect"),
                          note("wandb_run_name has no effect")));
  EXPECT_FALSE(options_.dataset.reg_data_dir);
  EXPECT_FALSE(options_.model.vae);
  EXPECT_THAT(options_.network.text_encoder_lr, ElementsAre(1e-5));
  EXPECT_THAT(options_.network.network_args, ElementsAre("conv_dim=8"));
  EXPECT_EQ(options_.dataset.resolution, "512,768");
  EXPECT_FALSE(options_.text.max_token_length);
  EXPECT_EQ(options_.compute.dynamo_backend, "inductor");
  EXPECT_DOUBLE_EQ(options_.optimizer.learning_rate, 1e-4);
  EXPECT_DOUBLE_EQ(options_.lr_schedule.lr_warmup_steps, 0.1);
  EXPECT_EQ(options_.training.max_train_steps, 1000);
}

TEST_F(ReadOptions, WarnOfAFrontEndsKeyThatAsksForSomething) {
  EXPECT_THAT(read_file_text("stop_text_encoder_training = 5\n").remarks,
              ElementsAre(warning("the text encoder is trained to the end")));
}

TEST_F(ReadOptions, RefuseUnknownKeysWithFileAndLine) {
  EXPECT_THAT(error_of_file("seed = 1\n\nlearning_rte = 1e-4\n"),
              HasSubstr("lora.toml:3: learning_rte is not an option; did you mean learning_rate?"));
  EXPECT_THAT(error_of_file("[a]\nqqqqqqqqqqqq = 1\n"),
              HasSubstr("lora.toml:2: qqqqqqqqqqqq is not an option; remove"));
}

TEST_F(ReadOptions, RefuseValuesOfAnotherType) {
  EXPECT_THAT(error_of_file("seed = \"x\""), HasSubstr("lora.toml:1: seed: 'x' is not a whole number"));
  EXPECT_THAT(error_of_file("seed = 1.5"), HasSubstr("seed: expected a whole number, got 1.5"));
  EXPECT_THAT(error_of_file("seed = 1e300"), HasSubstr("seed: expected a whole number"));
  EXPECT_THAT(error_of_file("seed = true"), HasSubstr("seed: expected a text or a number, got true or false"));
  EXPECT_THAT(error_of_file("v2 = \"yes\""), HasSubstr("v2: expected true or false, got a text"));
  EXPECT_THAT(error_of_file("vae = [1]"), HasSubstr("vae: expected a text or a number, got an array"));
  EXPECT_THAT(error_of_file("text_encoder_lr = [\"a\"]"), HasSubstr("text_encoder_lr: 'a' is not a number"));
  EXPECT_THAT(error_of_file("lr_warmup_steps = 10.0"), HasSubstr("lr_warmup_steps: 10.0 is a share of all steps"));
  EXPECT_THAT(error_of_file("learning_rate = -1"), HasSubstr("out of range"));
  EXPECT_THAT(error_of_file("mixed_precision = \"fp8\""), HasSubstr("'fp8' is not one of no, fp16, bf16"));
  EXPECT_THAT(error_of_file("seed = 2020-01-01"), HasSubstr("got a date"));
}

TEST_F(ReadOptions, RefuseFilesThatAreNotToml) {
  EXPECT_THAT(error_of_file("seed = \n"), HasSubstr("lora.toml:1:"));
  EXPECT_THAT(error_of_file("vae = \"C:\\models\\x\"\n"), HasSubstr("put the path in single quotes"));
  EXPECT_THAT(error_of_file("vae = \"\xff\"\n"), HasSubstr("not valid TOML"));
  EXPECT_THROW(read({"--config_file", (folder_ / "none").string()}), UserError);
}

TEST_F(ReadOptions, RecogniseADatasetFile) {
  EXPECT_THAT(error_of_file("[general]\nkeep_tokens = 1\n[[datasets]]\n"), HasSubstr("give it to --dataset_config"));
}

TEST_F(ReadOptions, WarnOfAKeyThatIsGivenTwice) {
  const auto result = read_file_text("[a]\nseed = 1\n[b]\nseed = 2\n");
  EXPECT_THAT(result.remarks, ElementsAre(warning("lora.toml:4: seed replaces the value in line 2")));
  EXPECT_EQ(options_.training.seed, 2);
}

TEST_F(ReadOptions, RefuseWhatIsNotAvailableYetByName) {
  try {
    read({"--masked_loss", "--torch_compile"});
    FAIL();
  } catch (const UsageError& e) {
    EXPECT_THAT(e.what(), HasSubstr("--masked_loss is not available yet: "));
    EXPECT_THAT(e.what(), HasSubstr("--torch_compile is not available yet: "));
  }
  EXPECT_THAT(error_of_file("deepspeed = true\n"), HasSubstr("lora.toml:1: deepspeed is not available yet"));
  EXPECT_EQ(error_of_file("deepspeed = false\nvalidation_split = 0.0\n"), "");
}

TEST_F(ReadOptions, NoteWhatHasNoEffect) {
  EXPECT_THAT(read({"--xformers"}).remarks, ElementsAre(note("--xformers has no effect: attention is always")));
}

TEST_F(ReadOptions, ShowHelpBeforeAnythingElse) {
  EXPECT_EQ(read({"--seed", "1", "--help"}).outcome, ReadResult::Outcome::help_wanted);
}

TEST_F(ReadOptions, WriteAConfigFileOnce) {
  const std::string path = (folder_ / "made").string();
  const Words words = {"--config_file",
                       path,
                       "--output_config",
                       "--seed",
                       "3",
                       "--vae",
                       "a \"b\"\\\n",
                       "--network_args",
                       "a=1",
                       "b=x y",
                       "--text_encoder_lr",
                       "1e-5",
                       "--wandb_api_key",
                       "secret",
                       "--network_alpha",
                       "8"};
  const auto result = read(words);
  EXPECT_EQ(result.outcome, ReadResult::Outcome::config_written);
  EXPECT_THAT(result.remarks, Contains(note("--wandb_api_key is a secret and was not written")));
  EXPECT_EQ(read_file(path + ".toml"),
            "vae = \"a \\\"b\\\"\\\\\\n\"\nnetwork_alpha = 8.0\nnetwork_args = [\"a=1\", \"b=x y\"]\n"
            "text_encoder_lr = [1e-05]\nseed = 3\n");
  EXPECT_THROW(read(words), UserError);
  EXPECT_THROW(read({"--output_config"}), UsageError);
}

TEST_F(ReadOptions, ReadTheirOwnConfigurationBack) {
  read({"--v2", "--learning_rate", "1e-4", "--caption_suffix", "日本\t\x01", "--base_weights", "a", "b", "--dry_run",
        "--dataset_config", "d.toml", "--lr_warmup_steps", "0.1", "--save_precision", "fp16"});
  const std::string written = configuration_toml(table_);
  EXPECT_THAT(written, Not(HasSubstr("dry_run")));
  read_file_text(written);
  EXPECT_EQ(configuration_toml(table_), written);
  EXPECT_EQ(options_.caption.caption_suffix, "日本\t\x01");
  EXPECT_EQ(options_.dataset.dataset_config, "d.toml");
}

}  // namespace
}  // namespace difftune
