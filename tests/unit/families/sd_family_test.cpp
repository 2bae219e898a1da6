// Stable Diffusion 1.x and 2.x as a family: the layers it offers to adapters, both layouts, text and gradients.
#include "families/sd/sd_family.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>

#include "adapters/lora.h"
#include "base/error.h"
#include "families/family_table.h"
#include "layouts.h"
#include "nn/random_state.h"
#include "small_sd.h"

namespace difftune {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

void load_all(ModelFamily& family) {
  for (const auto part : {Component::text_encoders, Component::vae, Component::denoiser}) family.load(part);
}

struct LoraLayout {
  const char *checkpoint, *modules;
  std::optional<int64_t> conv_rank;
};

class AdapterTargets : public testing::TestWithParam<LoraLayout> {};

TEST_P(AdapterTargets, AreTheModulesOfTheReferenceInItsOrder) {
  const auto& [checkpoint, modules, conv_rank] = GetParam();
  const auto family = make_sd_family(checkpoint_of(read_json_gz(checkpoint)), {.device = c10::kMeta});
  family->load(Component::text_encoders);
  family->load(Component::denoiser);
  const LoraConfig config{.rank = 4, .alpha = 2, .conv_rank = conv_rank};
  const LoraNetwork network(config, family->adapter_targets(), nn::default_generator(c10::kCPU), c10::kMeta);
  const auto expected = read_json_gz("adapters/lora_modules.json.gz")[modules];
  const auto parameters = network.parameters();
  ASSERT_EQ(parameters.size(), 2 * expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    const auto& [down_key, down] = parameters[2 * i];
    EXPECT_EQ(down_key, expected[i][0].get<std::string>() + ".lora_down.weight");
    EXPECT_EQ(down.sizes().vec(), expected[i][1].get<std::vector<int64_t>>()) << down_key;
    EXPECT_EQ(parameters[2 * i + 1].second.sizes().vec(), expected[i][2].get<std::vector<int64_t>>()) << down_key;
  }
}

INSTANTIATE_TEST_SUITE_P(, AdapterTargets,
                         testing::Values(LoraLayout{"weights/sd15_ldm.json.gz", "sd15", {}},
                                         LoraLayout{"weights/sd15_ldm.json.gz", "sd15_conv", 4},
                                         LoraLayout{"weights/sd21_ldm.json.gz", "sd21", {}}),
                         [](const auto& info) { return info.param.modules; });

class SmallFamily : public testing::TestWithParam<bool> {
 protected:
  std::unique_ptr<ModelFamily> open(const fs::path& path, ModelRequest request = {}) {
    request.checkpoint = path;
    auto family = open_model(request, "train_network", is_v2);
    load_all(*family);
    return family;
  }

  TemporaryFolder folder;
  bool is_v2 = GetParam();
  SmallSd model{small_sd_config(is_v2)};
};

at::Tensor some_latents() {
  nn::seed_generators(5);
  return at::randn({2, 4, 8, 8});
}

at::Tensor prediction(const ModelFamily& family, const at::Tensor& context) {
  const Conditioning conditioning = {{"context", context}};
  return family.denoise({some_latents(), at::tensor({10, 900}), conditioning});
}

TEST_P(SmallFamily, ReadsItsOwnFile) {
  model.write_ldm(folder / "model.safetensors");
  const at::NoGradGuard no_grad;
  const auto family = open(folder / "model.safetensors");
  const auto context = family->encode_text({{"a photo of a cat", ""}}).at("context");
  EXPECT_EQ(context.sizes(), at::IntArrayRef({2, 77, 64}));
  EXPECT_EQ(prediction(*family, context).sizes(), at::IntArrayRef({2, 4, 8, 8}));
  EXPECT_EQ(family->decode_latents(some_latents()).sizes(), at::IntArrayRef({2, 3, 16, 16}));
  EXPECT_EQ(family->encode_latents(at::zeros({1, 3, 16, 32})).sizes(), at::IntArrayRef({1, 4, 8, 16}));
  EXPECT_EQ(family->info().pixels_per_latent, 2);
  EXPECT_EQ(family->info().base_model_version, is_v2 ? "sd_v2" : "sd_v1");
}

// Modules of text encoders draw their first values even where only the denoiser is trained.
TEST_P(SmallFamily, UnloadedTextEncodersStillOfferTheirLayers) {
  model.write_ldm(folder / "model.safetensors");
  const auto family = open(folder / "model.safetensors");
  const size_t num_targets = family->adapter_targets().size();
  family->unload(Component::text_encoders);
  EXPECT_EQ(family->adapter_targets().size(), num_targets);
}

TEST_P(SmallFamily, LongCaptionsAreRowsOf75Tokens) {
  model.write_ldm(folder / "model.safetensors");
  const at::NoGradGuard no_grad;
  const auto plain = open(folder / "model.safetensors");
  const auto longer = open(folder / "model.safetensors", {.max_token_length = 225});
  const auto context = longer->encode_text({{"one, two, three"}}).at("context");
  EXPECT_EQ(context.sizes(), at::IntArrayRef({1, 227, 64}));
  // The first row is the short caption's but for the last state, which is the last row's.
  const auto first = plain->encode_text({{"one, two, three"}}).at("context");
  EXPECT_TRUE(at::allclose(context.slice(1, 0, 76), first.slice(1, 0, 76), 1e-5, 1e-5));
}

TEST_P(SmallFamily, ClipSkipTakesAnEarlierLayer) {
  model.write_ldm(folder / "model.safetensors");
  const at::NoGradGuard no_grad;
  const TextBatch text{{"a cat"}};
  const auto last = open(folder / "model.safetensors")->encode_text(text).at("context");
  EXPECT_TRUE(at::equal(open(folder / "model.safetensors", {.clip_skip = 1})->encode_text(text).at("context"), last));
  EXPECT_FALSE(at::equal(open(folder / "model.safetensors", {.clip_skip = 2})->encode_text(text).at("context"), last));
  EXPECT_THAT(error_of([&] { open(folder / "model.safetensors", {.clip_skip = 3}); }),
              HasSubstr("--clip_skip 3: expected 1 to 2"));
}

TEST_P(SmallFamily, WeightedCaptionsScaleTheStates) {
  model.write_ldm(folder / "model.safetensors");
  const at::NoGradGuard no_grad;
  const auto family = open(folder / "model.safetensors", {.weighted_captions = true});
  const auto plain = family->encode_text({{"cat"}}).at("context");
  const auto weighted = family->encode_text({{"(cat:1.5)"}}).at("context");
  EXPECT_TRUE(at::allclose(weighted.select(1, 1), plain.select(1, 1) * 1.5, 1e-5, 1e-5));
  EXPECT_TRUE(at::allclose(weighted.select(1, 0), plain.select(1, 0), 1e-5, 1e-5));
}

TEST_P(SmallFamily, CheckpointingAndLoraGiveTheSameBits) {
  model.write_ldm(folder / "model.safetensors");
  std::vector<at::Tensor> results[2];
  for (const bool checkpoints : {false, true}) {
    ModelRequest request;
    request.gradient_checkpointing = checkpoints;
    const auto family = open(folder / "model.safetensors", request);
    nn::seed_generators(42);
    const LoraConfig config{.rank = 2, .conv_rank = 2, .dropout = 0.1, .rank_dropout = 0.1, .module_dropout = 0.1};
    const LoraNetwork network(config, family->adapter_targets(), nn::default_generator(c10::kCPU), c10::kCPU);
    for (auto& [key, parameter] : network.parameters()) {
      const at::NoGradGuard no_grad;
      if (key.ends_with("up.weight")) parameter.copy_(at::randn(parameter.sizes()) * 0.1);
    }
    nn::seed_generators(1);
    const auto context = family->encode_text({{"a cat", "a dog"}}).at("context");
    const at::Tensor loss = prediction(*family, context).square().mean();
    loss.backward();
    results[checkpoints] = {loss, at::rand({1})};  // as many draws as well
    for (const auto& [key, parameter] : network.parameters()) {
      results[checkpoints].push_back(parameter.grad().defined() ? parameter.grad() : at::zeros({1}));
    }
  }
  for (size_t i = 0; i < results[0].size(); ++i) EXPECT_TRUE(at::equal(results[0][i], results[1][i])) << i;
}

TEST_P(SmallFamily, MergedAndAdaptedPredictTheSame) {
  model.write_ldm(folder / "model.safetensors");
  const at::NoGradGuard no_grad;
  const auto family = open(folder / "model.safetensors");
  const auto context = family->encode_text({{"a cat", "a dog"}}).at("context");
  const at::Tensor before = prediction(*family, context);
  at::Tensor adapted;
  std::vector<NamedTensor> file;
  {
    LoraNetwork network({.rank = 2, .alpha = 1, .conv_rank = 2}, family->adapter_targets(),
                        nn::default_generator(c10::kCPU), c10::kCPU);
    for (auto& [key, parameter] : network.parameters()) parameter.copy_(at::randn(parameter.sizes()) * 0.1);
    adapted = prediction(*family, context);
    file = network.state();
  }
  EXPECT_TRUE(at::equal(prediction(*family, context), before));
  merge_lora_into(MemorySource(file), family->adapter_targets(), 1);
  EXPECT_FALSE(at::allclose(adapted, before, 1e-2, 1e-2));
  EXPECT_TRUE(at::allclose(prediction(*family, context), adapted, 1e-4, 1e-4));
}

INSTANTIATE_TEST_SUITE_P(, SmallFamily, testing::Bool(), [](const auto& info) { return info.param ? "v2" : "v1"; });

TEST(SdFamily, ADiffusersFolderAndAFileGiveTheSameTensors) {
  const TemporaryFolder folder;
  const SmallSd model(small_sd_config(false));
  model.write_ldm(folder / "model.safetensors");
  model.write_diffusers(folder / "diffusers");
  std::vector<at::Tensor> results[2];
  const at::NoGradGuard no_grad;
  for (const char* path : {"model.safetensors", "diffusers"}) {
    const auto family = open_model({.checkpoint = folder / path}, "train_network", false);
    load_all(*family);
    auto& result = results[path[0] == 'd'];
    for (const auto& target : family->adapter_targets()) {
      result.push_back(target.layer->weight);
      if (target.layer->bias.defined()) result.push_back(target.layer->bias);
    }
    result.push_back(family->encode_text({{"a cat", "two dogs"}}).at("context"));
    result.push_back(prediction(*family, result.back()));
    result.push_back(family->decode_latents(some_latents()));
  }
  ASSERT_EQ(results[0].size(), results[1].size());
  for (size_t i = 0; i < results[0].size(); ++i) EXPECT_TRUE(at::equal(results[0][i], results[1][i])) << i;
}

TEST(SdFamily, AVaeOfItsOwn) {
  const TemporaryFolder folder;
  const SmallSd model(small_sd_config(false)), other(small_sd_config(false), 2);
  model.write_ldm(folder / "model.safetensors");
  other.write_ldm(folder / "other.safetensors");
  other.write_diffusers(folder / "other");
  const at::NoGradGuard no_grad;
  const auto decoded = [&](const char* checkpoint, std::optional<fs::path> vae) {
    const auto family = open_model({.checkpoint = folder / checkpoint, .vae = vae}, "train_network", false);
    family->load(Component::vae);
    return family->decode_latents(some_latents());
  };
  const at::Tensor expected = decoded("other.safetensors", {});
  for (const char* vae : {"other.safetensors", "other", "other/vae", "other/vae/diffusion_pytorch_model.safetensors"}) {
    EXPECT_TRUE(at::equal(decoded("model.safetensors", folder / vae), expected)) << vae;
  }
  EXPECT_FALSE(at::equal(decoded("model.safetensors", {}), expected));
  EXPECT_THAT(error_of([&] { decoded("model.safetensors", folder / "none.pt"); }), HasSubstr("none.pt: there is no"));
  EXPECT_THAT(error_of([&] { decoded("model.safetensors", folder / "other/text_encoder"); }),
              HasSubstr("no autoencoder"));
}

}  // namespace
}  // namespace difftune
