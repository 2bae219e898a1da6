#include "generate/text_to_image.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/randn.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "families/family_table.h"
#include "generate/sample_files.h"
#include "image/read_image.h"
#include "tiny_family.h"
#include "weights/open_weights.h"

namespace difftune {
namespace {

SamplePrompt small_prompt(std::string text) {
  SamplePrompt prompt;
  prompt.prompt = std::move(text);
  prompt.width_px = 96;
  prompt.height_px = 64;
  prompt.num_steps = 2;
  prompt.seed = 1;
  return prompt;
}

double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return a.to(at::kDouble).sub(b.to(at::kDouble)).abs().max().item<double>();
}

// A row of runs.json, which make_generate.py wrote: StableDiffusionPipeline's latents and the picture of its VAE.
void expect_same_as_diffusers(const nlohmann::json& run) {
  SamplePrompt prompt = small_prompt(run.at("prompt"));
  prompt.negative_prompt = run.at("negative_prompt");
  prompt.num_steps = run.at("steps");
  prompt.scale = run.at("scale");
  prompt.seed = run.at("seed").get<uint64_t>();
  std::string sampler = run.at("sampler");
  GenerateOptions options;
  options.reference_quirks = sampler == "ddim_clipped";
  options.sampler = sampler == "ddim_clipped" ? "ddim" : sampler;
  if (run.at("prediction") == "v_prediction") options.prediction = PredictionType::velocity;

  const auto family = open_tiny_family(options.prediction);
  const at::Tensor latents = generate_latents(*family, prompt, options);
  const auto expected = open_weights(fs::path(TEST_DATA_DIR) / "generate" / run.at("file").get<std::string>());
  const at::Tensor expected_latents = expected->tensor("latents");
  EXPECT_EQ(latents.sizes(), expected_latents.sizes());
  const double error = largest_difference(latents, expected_latents) / expected_latents.abs().max().item<double>();
  EXPECT_LT(error, 1e-4);

  const Image image = latents_to_image(*family, expected_latents);
  const at::Tensor expected_pixels = expected->tensor("image");
  ASSERT_EQ(image.height_px, expected_pixels.size(0));
  ASSERT_EQ(image.width_px, expected_pixels.size(1));
  const auto* pixels = expected_pixels.const_data_ptr<uint8_t>();
  size_t num_other = 0;
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    const int difference = std::abs(int{image.pixels[i]} - int{pixels[i]});
    EXPECT_LE(difference, 1);
    num_other += difference != 0 ? 1 : 0;
  }
  EXPECT_LT(num_other, 10) << "values that sit on the edge between two bytes";
}

TEST(TextToImageTest, latents_and_pixels_are_those_of_diffusers) {
  std::ifstream file(fs::path(TEST_DATA_DIR) / "generate/runs.json");
  const nlohmann::json runs = nlohmann::json::parse(file);
  EXPECT_EQ(runs.size(), 8);
  for (const nlohmann::json& run : runs) {
    SCOPED_TRACE(run.at("file").get<std::string>());
    expect_same_as_diffusers(run);
  }
}

TEST(TextToImageTest, default_generator_is_left_alone_and_nothing_records_gradients) {
  const auto family = open_tiny_family();
  at::Generator shared = at::detail::getDefaultCPUGenerator();
  const at::Tensor before = shared.get_state();
  int64_t calls = 0, total = 0;
  GenerateOptions options{.sampler = "euler_a"};
  options.on_call = [&](int64_t done, int64_t all) { calls = done, total = all; };
  const at::Tensor latents = generate_latents(*family, small_prompt("a cat"), options);
  EXPECT_TRUE(at::equal(shared.get_state(), before));
  EXPECT_FALSE(latents.requires_grad());
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(total, 2);
}

TEST(TextToImageTest, one_seed_is_one_picture_and_the_prompts_matter) {
  const auto family = open_tiny_family();
  SamplePrompt prompt = small_prompt("a cat");
  const Image first = generate_image(*family, prompt);
  EXPECT_EQ(generate_image(*family, prompt), first);
  prompt.prompt = "a dog";
  EXPECT_NE(generate_image(*family, prompt), first);
  prompt.prompt = "a cat";
  prompt.negative_prompt = "red";
  EXPECT_NE(generate_image(*family, prompt), first);
  prompt.negative_prompt = "";
  prompt.seed = 2;
  EXPECT_NE(generate_image(*family, prompt), first);
}

TEST(TextToImageTest, long_prompts_zero_terminal_snr_and_bfloat16_work) {
  const auto family = open_tiny_family(PredictionType::velocity, at::kBFloat16);
  GenerateOptions options{.sampler = "euler", .prediction = PredictionType::velocity, .zero_terminal_snr = true};
  SamplePrompt prompt = small_prompt(std::string(200, 'c'));
  for (int i = 0; i < 100; ++i) prompt.prompt += " red (cat:1.2)";
  EXPECT_EQ(generate_image(*family, prompt, options).width_px, 96);
}

TEST(TextToImageTest, values_that_are_not_finite_name_the_prompt) {
  const auto family = open_tiny_family();
  const at::Tensor nan = at::full_like(at::randn({1, 4, 8, 12}), std::nan(""));
  EXPECT_THROW(latents_to_image(*family, nan), UserError);
  const BrokenFamily broken(*family);
  try {
    generate_image(broken, small_prompt("a cat"));
    FAIL();
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("prompt 'a cat': the denoiser gave values that are not finite"));
  }
}

TEST(SampleFilesTest, pictures_are_named_and_carry_their_settings) {
  const auto family = open_tiny_family();
  const fs::path folder = fs::path(testing::TempDir()) / ("sample_files_" + std::to_string(getpid()));
  fs::remove_all(folder);
  std::vector<SamplePrompt> prompts = {small_prompt("a cat"), small_prompt("a dog")};
  prompts[0].negative_prompt = "red";
  prompts[1].seed.reset();
  const auto epoch = generate_samples(*family, prompts, {}, {.output_dir = folder, .output_name = "mine", .epoch = 3});
  ASSERT_EQ(epoch.size(), 2);
  EXPECT_EQ(epoch[0].parent_path(), folder / "sample");
  EXPECT_THAT(epoch[0].filename().string(), testing::MatchesRegex("mine_e000003_00_[0-9]{14}_1\\.png"));
  EXPECT_THAT(epoch[1].filename().string(), testing::MatchesRegex("mine_e000003_01_[0-9]{14}\\.png"));
  EXPECT_EQ(read_image(epoch[0]), generate_image(*family, prompts[0]));
  EXPECT_THAT(read_file(epoch[0]), testing::HasSubstr("parameters"));
  EXPECT_EQ(sample_parameters(prompts[0], family->info().pictures, "ddim"),
            "a cat\nNegative prompt: red\nSteps: 2, Sampler: ddim, CFG scale: 7.5, Seed: 1, Size: 96x64");
  const auto step = generate_samples(*family, {prompts.data(), 1}, {}, {.output_dir = folder, .step = 40});
  ASSERT_EQ(step.size(), 1);
  EXPECT_THAT(step[0].filename().string(), testing::MatchesRegex("000040_00_[0-9]{14}_1\\.png"));
}

TEST(SampleFilesTest, a_failing_picture_does_not_end_the_others) {
  const auto family = open_tiny_family();
  const fs::path folder = fs::path(testing::TempDir()) / ("failing_samples_" + std::to_string(getpid()));
  std::vector<SamplePrompt> prompts = {small_prompt("(a:1.2.3)"), small_prompt("a dog")};
  EXPECT_EQ(generate_samples(*family, prompts, {}, {.output_dir = folder}).size(), 1);
  EXPECT_TRUE(generate_samples(*family, prompts, {}, {.output_dir = "/proc/nowhere"}).empty());
}

}  // namespace
}  // namespace difftune
