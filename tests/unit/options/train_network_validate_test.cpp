#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "options/resolution.h"
#include "options/train_network_options.h"

namespace difftune {
namespace {

using testing::Contains;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;

TrainNetworkOptions sound() {
  TrainNetworkOptions options;
  options.model.pretrained_model_name_or_path = "model.safetensors";
  options.dataset.train_data_dir = "images";
  options.dataset.resolution = "512";
  options.network.network_module = "networks.lora";
  options.output.output_dir = "out";
  return options;
}

template <typename Change>
std::vector<Remark> remarks_of(Change change) {
  TrainNetworkOptions options = sound();
  change(options);
  return validate(options);
}

template <typename Change>
std::string error_of(Change change) {
  try {
    remarks_of(change);
  } catch (const UsageError& e) {
    return e.what();
  }
  return "";
}

auto warning(const std::string& text) {
  return Contains(AllOf(Field(&Remark::is_warning, true), Field(&Remark::text, HasSubstr(text))));
}
auto note(const std::string& text) {
  return Contains(AllOf(Field(&Remark::is_warning, false), Field(&Remark::text, HasSubstr(text))));
}

using O = TrainNetworkOptions;

TEST(Validate, HasNothingToSayAboutASoundConfiguration) {
  EXPECT_THAT(remarks_of([](O&) {}), IsEmpty());
}

TEST(Validate, AdafactorsOwnScheduleGoesWithRelativeSteps) {
  const auto error = [](std::string schedule, std::string optimizer, std::vector<std::string> args) {
    return error_of([&](O& o) {
      o.lr_schedule.lr_scheduler = schedule;
      o.optimizer.optimizer_type = optimizer;
      o.optimizer.optimizer_args = args;
    });
  };
  EXPECT_EQ(error("adafactor", "Adafactor", {}), "");
  EXPECT_EQ(error("adafactor:1e-3", "Adafactor", {"relative_step=True"}), "");
  EXPECT_THAT(error("adafactor:1e-3", "AdamW", {}), HasSubstr("adafactor with --optimizer_type Adafactor"));
  EXPECT_THAT(error("adafactor", "Adafactor", {"relative_step=False"}), HasSubstr("the schedule of relative steps"));
}

TEST(Validate, NamesWhatIsMissing) {
  EXPECT_THAT(error_of([](O& o) { o.model.pretrained_model_name_or_path = ""; }), HasSubstr("--pretrained_model"));
  EXPECT_THAT(error_of([](O& o) { o.network.network_module = ""; }), HasSubstr("--network_module is missing"));
  EXPECT_THAT(error_of([](O& o) { o.output.output_dir = ""; }), HasSubstr("--output_dir is missing"));
  EXPECT_THAT(error_of([](O& o) { o.dataset.train_data_dir.reset(); }), HasSubstr("there are no images"));
  EXPECT_THAT(error_of([](O& o) { o.dataset.resolution.reset(); }), HasSubstr("--resolution is missing"));
  EXPECT_THAT(error_of([](O& o) { o.network.dim_from_weights = true; }), HasSubstr("needs --network_weights"));
  EXPECT_THAT(error_of([](O& o) { o.sample.sample_every_n_epochs = 1; }), HasSubstr("--sample_prompts FILE"));
  EXPECT_THAT(error_of([](O& o) { o.tracking.log_with = "tensorboard"; }), HasSubstr("needs --logging_dir"));
}

TEST(Validate, RefusesContradictions) {
  EXPECT_NE(error_of([](O& o) { o.noise.adaptive_noise_scale = 0.1; }), "");
  EXPECT_NE(error_of([](O& o) { o.loss.scale_v_pred_loss_like_noise_pred = true; }), "");
  EXPECT_NE(error_of([](O& o) {
              o.loss.v_pred_like_loss = 1;
              o.model.v_parameterization = true;
            }),
            "");
  EXPECT_NE(error_of([](O& o) { o.latent_cache.cache_latents = o.augmentation.random_crop = true; }), "");
  EXPECT_NE(error_of([](O& o) { o.compute.full_bf16 = true; }), "");
  EXPECT_NE(error_of([](O& o) {
              o.noise.min_timestep = 500;
              o.noise.max_timestep = 400;
            }),
            "");
  EXPECT_NE(error_of([](O& o) { o.lr_schedule.lr_warmup_steps = 10; }), "");
  EXPECT_NE(error_of([](O& o) { o.state.initial_step = 1600; }), "");
  EXPECT_NE(error_of([](O& o) { o.network.network_args = {"conv_dim"}; }), "");
  EXPECT_NE(error_of([](O& o) { o.bucket.min_bucket_reso = 2048; }), "");
  EXPECT_NE(
      error_of([](O& o) { o.network.network_train_unet_only = o.network.network_train_text_encoder_only = true; }), "");
}

TEST(Validate, RefusesByNameWhatIsNotAvailableYet) {
  EXPECT_EQ(error_of([](O& o) { o.optimizer.optimizer_type = "AdamW8bit"; }),
            "--optimizer_type AdamW8bit is not available yet; available: AdamW, SGDNesterov, Lion, Adafactor");
  EXPECT_THAT(error_of([](O& o) { o.lr_schedule.lr_scheduler = "inverse_sqrt"; }),
              HasSubstr("--lr_scheduler inverse_"));
  EXPECT_THAT(error_of([](O& o) { o.network.network_module = "lycoris.kohya"; }), HasSubstr("lycoris.kohya is not"));
  EXPECT_THAT(error_of([](O& o) { o.output.save_model_as = "ckpt"; }), HasSubstr("--save_model_as ckpt is not"));
  EXPECT_THAT(error_of([](O& o) { o.tracking.log_with = "wandb"; }), HasSubstr("--log_with wandb is not"));
}

TEST(Validate, SettlesWhatFollows) {
  O options = sound();
  options.latent_cache.cache_latents_to_disk = true;
  options.caption.caption_extention = ".txt";
  options.sample.sample_every_n_steps = 0;
  EXPECT_THAT(validate(options), note("turns --cache_latents on"));
  EXPECT_TRUE(options.latent_cache.cache_latents);
  EXPECT_EQ(options.caption.caption_extension, ".txt");
  EXPECT_FALSE(options.sample.sample_every_n_steps);
}

TEST(Validate, WarnsOfConflicts) {
  EXPECT_THAT(remarks_of([](O& o) {
                o.training.max_train_epochs = 3;
                o.training.max_train_steps = 5;
              }),
              warning("--max_train_epochs 3 decides the length"));
  EXPECT_THAT(remarks_of([](O& o) { o.dataset.dataset_config = "d.toml"; }), warning("ignored"));
  EXPECT_THAT(remarks_of([](O& o) { o.model.v_parameterization = true; }), warning("without --v2"));
  EXPECT_THAT(remarks_of([](O& o) { o.noise.zero_terminal_snr = true; }), warning("--zero_terminal_snr"));
  EXPECT_THAT(remarks_of([](O& o) { o.network.text_encoder_lr = {1, 2}; }), note("only the first value"));
  EXPECT_THAT(remarks_of([](O& o) { o.loss.huber_c = 0.2; }), note("no effect without --loss_type huber"));
}

TEST(OptimizerName, IgnoresCaseAndKnowsTheShortForms) {
  OptimizerOptions options;
  EXPECT_EQ(optimizer_name(options), "AdamW");
  options.optimizer_type = "sgdnesterov";
  EXPECT_EQ(optimizer_name(options), "SGDNesterov");
  options.use_lion_optimizer = true;
  EXPECT_THROW(optimizer_name(options), UsageError);
  options.optimizer_type = "";
  EXPECT_EQ(optimizer_name(options), "Lion");
}

TEST(ParseResolution, TakesOneOrTwoNumbers) {
  EXPECT_EQ(parse_resolution("512").height_px, 512);
  EXPECT_EQ(parse_resolution("512, 768").height_px, 768);
  EXPECT_EQ(parse_resolution("512,768").width_px, 512);
  for (const char* bad : {"", "x", "512,", "512,768,3", "-1", "0"}) EXPECT_THROW(parse_resolution(bad), UsageError);
}

}  // namespace
}  // namespace difftune
