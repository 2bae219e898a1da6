// The autoencoder against AutoencoderKL of Diffusers (tests/data/models/make_models.py).
#include "models/autoencoder_kl.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn_like.h>
#include <ATen/ops/zeros.h>

#include "golden_model.h"
#include "nn/random_state.h"

namespace difftune {
namespace {

struct Case {
  const char* file;
  AutoencoderConfig config;
};

const std::vector<Case> kCases = {{"vae", {.block_channels = {8, 16}, .num_resnets_per_block = 1, .norm_groups = 4}},
                                  {"vae_16_channels",
                                   {.latent_channels = 16,
                                    .block_channels = {8, 16},
                                    .num_resnets_per_block = 1,
                                    .norm_groups = 4,
                                    .has_quant_conv = false}}};

class AutoencoderTest : public testing::TestWithParam<Case> {
 protected:
  GoldenModel golden{GetParam().file};
  GoldenReader reader{golden};
  AutoencoderKL vae{GetParam().config, reader};
};

TEST_P(AutoencoderTest, EncodesToTheMomentsOfDiffusers) {
  const at::NoGradGuard no_grad;
  const auto latents = vae.encode(golden["in.images"]);
  EXPECT_LT(relative_error(latents.mean, golden["out.mean"]), 2e-6);
  EXPECT_LT(relative_error(latents.log_variance, golden["out.log_variance"]), 2e-6);
  EXPECT_TRUE(latents.mean.is_contiguous());
}

TEST_P(AutoencoderTest, DecodesAsDiffusers) {
  const at::NoGradGuard no_grad;
  EXPECT_LT(relative_error(vae.decode(golden["in.latents"]), golden["out.decoded"]), 2e-6);
}

TEST_P(AutoencoderTest, GradientsOfTheDecoder) {
  for (const bool is_trained : {false, true}) {
    if (is_trained) require_gradients(vae.index());
    const at::Tensor latents = golden["in.latents"].requires_grad_(true);
    vae.decode(latents).backward(golden["d_out"]);
    EXPECT_LT(relative_error(latents.grad(), golden["d_in.latents"]), 1e-5);
  }
  expect_weight_gradients(vae.index(), golden, 1e-5);
}

TEST_P(AutoencoderTest, HasDiffusersParameters) { expect_parameters(vae.index(), golden); }

TEST_P(AutoencoderTest, BFloat16StaysClose) {
  const at::NoGradGuard no_grad;
  GoldenReader bf16_reader(golden, at::kBFloat16);
  const AutoencoderKL model(GetParam().config, bf16_reader);
  EXPECT_LT(relative_error(model.encode(golden["in.images"]).mean, golden["out.mean"]), 3e-2);
  EXPECT_LT(relative_error(model.decode(golden["in.latents"]), golden["out.decoded"]), 3e-2);
}

INSTANTIATE_TEST_SUITE_P(, AutoencoderTest, testing::ValuesIn(kCases),
                         [](const auto& info) { return info.param.file; });

TEST(AutoencoderKL, ClampsLogVarianceOnlyWhereTold) {
  const at::NoGradGuard no_grad;
  const GoldenModel golden("vae_16_channels");
  GoldenReader reader(golden);
  AutoencoderConfig config = kCases[1].config;
  for (const bool clamps : {true, false}) {
    config.clamps_log_variance = clamps;
    const AutoencoderKL vae(config, reader);
    const at::Tensor images = golden["in.images"] * 1e3;
    for (const auto& parameter : vae.index().parameters) {
      if (parameter.path == "encoder.conv_out.bias") parameter.tensor->fill_(40);
    }
    const double largest = vae.encode(images).log_variance.max().item<double>();
    if (clamps) {
      EXPECT_EQ(largest, 20);
    } else {
      EXPECT_GT(largest, 25);
    }
  }
}

TEST(LatentDistribution, SamplesWithOneDrawInTheLayoutOfTheMean) {
  const LatentDistribution latents{at::full({1, 2, 3, 4}, 5.0), at::full({1, 2, 3, 4}, -2.0)};
  nn::seed_generators(3);
  const at::Tensor sample = latents.sample();
  nn::seed_generators(3);
  EXPECT_TRUE(at::equal(sample, 5.0 + at::exp(at::full({1}, -1.0)) * at::randn_like(latents.mean)));
}

TEST(AutoencoderConfig, Downscale) { EXPECT_EQ(AutoencoderConfig{}.downscale(), 8); }

}  // namespace
}  // namespace difftune
