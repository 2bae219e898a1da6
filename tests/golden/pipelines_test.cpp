// Latents and pictures of every family against those of diffusers' pipelines (one: of the reference) on the same tiny
// weights, seed and sampler; tests/data/pipelines/make_pipelines.py recorded them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "families/family_table.h"
#include "generate/picture_maker.h"
#include "tiny_checkpoint.h"
#include "weights/open_weights.h"

namespace difftune {
namespace {

nlohmann::json recorded_run(const std::string& name) {
  for (const auto& run : nlohmann::json::parse(read_file(kPipelineData / "runs.json"))) {
    if (run.at("name") == name) return run;
  }
  ADD_FAILURE() << "no run " << name;
  return {};
}

double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return a.to(at::kDouble).sub(b.to(at::kDouble)).abs().max().item<double>();
}

class PipelinesTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / ("pipelines_" + std::to_string(getpid()));
    fs::remove_all(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path file(const std::string& name, const std::vector<std::string>& layouts) {
    return write_tiny_checkpoint(folder_ / (name + ".safetensors"), layouts);
  }
  fs::path file(const std::string& layout) { return file(layout, {layout}); }

  ModelRequest flux_request(const std::string& layout) {
    ModelRequest request;
    request.checkpoint = file(layout);
    request.clip_l = file("clip_l");
    request.t5xxl = file("t5");
    request.autoencoder = file("ae");
    return request;
  }

  ModelRequest chroma_request() {
    ModelRequest request = flux_request("chroma");
    request.clip_l.reset();
    request.masks_t5 = true;
    return request;
  }

  ModelRequest sd3_request() {
    ModelRequest request;
    request.checkpoint = file("sd3", {"sd3", "sd3_vae"});
    request.clip_l = file("clip_l_projected");
    request.clip_g = file("clip_g");
    request.t5xxl = file("t5");
    return request;
  }

  // Recorded runs differ in the system prompt.
  ModelRequest lumina_request(const std::string& run) {
    ModelRequest request;
    request.system_prompt = recorded_run(run).at("system_prompt");
    request.checkpoint = file("lumina");
    request.gemma2 = file("gemma2");
    request.autoencoder = file("ae");
    request.tokenizer_folder = folder_;
    fs::create_directories(folder_ / "google_gemma-2-2b");
    fs::copy_file(fs::path(TEST_DATA_DIR) / "text/small_gemma.model", folder_ / "google_gemma-2-2b/tokenizer.model",
                  fs::copy_options::overwrite_existing);
    return request;
  }

  ModelRequest sdxl_request() {
    const auto part = [&](const char* name, const char* layout, const char* weights, const char* config) {
      write_tiny_checkpoint(folder_ / "sdxl" / name / weights, {layout});
      write_file_atomically(folder_ / "sdxl" / name / "config.json", config);
    };
    part("unet", "sdxl_unet", "diffusion_pytorch_model.safetensors",
         R"({"attention_head_dim": [1, 1], "norm_num_groups": 32})");
    part("vae", "sdxl_vae", "diffusion_pytorch_model.safetensors", R"({"norm_num_groups": 32})");
    part("text_encoder", "sdxl_text_encoder", "model.safetensors",
         R"({"num_attention_heads": 1, "hidden_act": "quick_gelu"})");
    part("text_encoder_2", "sdxl_text_encoder_2", "model.safetensors",
         R"({"num_attention_heads": 1, "hidden_act": "gelu"})");
    write_file_atomically(folder_ / "sdxl/model_index.json", R"({"_class_name": "StableDiffusionXLPipeline"})");
    ModelRequest request;
    request.checkpoint = folder_ / "sdxl";
    return request;
  }

  static SamplePrompt prompt_of(const nlohmann::json& run, const PictureTraits& traits) {
    SamplePrompt prompt = default_prompt(traits);
    prompt.prompt = run.at("prompt");
    prompt.negative_prompt = run.at("negative_prompt");
    prompt.width_px = 96;
    prompt.height_px = 64;
    prompt.num_steps = run.at("steps");
    prompt.scale = run.at("scale");
    prompt.seed = run.at("seed").get<uint64_t>();
    if (run.contains("second_prompt")) prompt.second_prompt = run.at("second_prompt");
    if (run.contains("guidance")) prompt.guidance = run.at("guidance");
    if (run.contains("trunc")) prompt.limits = GuidanceLimits{run.at("trunc"), run.at("renorm")};
    return prompt;
  }

  static void expect_recorded_latents(const at::Tensor& latents, const TensorSource& recorded) {
    const at::Tensor expected = recorded.tensor("latents");
    ASSERT_EQ(latents.sizes(), expected.sizes());
    const double error = largest_difference(latents, expected) / expected.abs().max().item<double>();
    RecordProperty("latents_error", std::to_string(error));
    EXPECT_LT(error, 1e-5);
  }

  static void expect_recorded_picture(const std::string& name, const std::string& command,
                                      const ModelRequest& request) {
    GenerateOptions how;
    how.sampler = "euler";
    PictureMaker maker(open_model(request, command, false), {}, {.how = how});
    const SamplePrompt prompt = prompt_of(recorded_run(name), maker.family().info().pictures);
    const auto recorded = open_weights(kPipelineData / (name + ".safetensors"));
    expect_recorded_latents(maker.make_latents(prompt), *recorded);
    expect_same_picture(maker.decode(recorded->tensor("latents")), recorded->tensor("image"));
  }

  // What the reference makes, whose departures from the authors the request asks for.
  static void expect_picture_of_the_reference(const std::string& name, const std::string& command, ModelRequest request,
                                              c10::ScalarType noise_dtype = at::kFloat) {
    request.reference_quirks = true;
    const auto family = open_model(request, command, false);
    for (const auto part : {Component::text_encoders, Component::denoiser, Component::vae}) family->load(part);
    const GenerateOptions how{.reference_quirks = true, .noise_dtype = noise_dtype};
    const SamplePrompt prompt = prompt_of(recorded_run(name), family->info().pictures);
    const auto recorded = open_weights(kPipelineData / (name + ".safetensors"));
    expect_recorded_latents(generate_latents(*family, prompt, how), *recorded);
    expect_same_picture(generate_image(*family, prompt, how), recorded->tensor("image"));
  }

  static void expect_same_picture(const Image& image, const at::Tensor& expected) {
    ASSERT_EQ(image.height_px, expected.size(0));
    ASSERT_EQ(image.width_px, expected.size(1));
    const auto* pixels = expected.const_data_ptr<uint8_t>();
    size_t num_other = 0;
    for (size_t i = 0; i < image.pixels.size(); ++i) {
      const int difference = std::abs(int{image.pixels[i]} - int{pixels[i]});
      ASSERT_LE(difference, 1);
      num_other += difference != 0 ? 1 : 0;
    }
    EXPECT_LT(num_other, 10) << "values that sit on the edge between two bytes";
  }

  fs::path folder_;

 private:
  static const char* test_name() { return testing::UnitTest::GetInstance()->current_test_info()->name(); }
};

TEST_F(PipelinesTest, sdxl) { expect_recorded_picture("sdxl", "sdxl_minimal_inference", sdxl_request()); }

TEST_F(PipelinesTest, flux_dev) {
  expect_recorded_picture("flux_dev", "flux_minimal_inference", flux_request("flux_dev"));
}

TEST_F(PipelinesTest, flux_dev_with_a_negative_prompt) {
  expect_recorded_picture("flux_dev_guided", "flux_minimal_inference", flux_request("flux_dev"));
}

TEST_F(PipelinesTest, flux_schnell) {
  expect_recorded_picture("flux_schnell", "flux_minimal_inference", flux_request("flux_schnell"));
}

TEST_F(PipelinesTest, flux_schnell_as_the_reference_samples_it) {
  expect_picture_of_the_reference("flux_schnell_sample", "flux_minimal_inference", flux_request("flux_schnell"));
}

TEST_F(PipelinesTest, flux_dev_with_noise_in_bfloat16_as_the_reference_draws_it) {
  expect_picture_of_the_reference("flux_dev_noise", "flux_minimal_inference", flux_request("flux_dev"), at::kBFloat16);
}

TEST_F(PipelinesTest, chroma) {
  expect_recorded_picture("chroma", "flux_minimal_inference --model_type chroma", chroma_request());
}

TEST_F(PipelinesTest, chroma_told_a_guidance_as_the_reference_samples_it) {
  expect_picture_of_the_reference("chroma_sample", "flux_minimal_inference --model_type chroma", chroma_request());
}

TEST_F(PipelinesTest, sd3) { expect_recorded_picture("sd3", "sd3_minimal_inference", sd3_request()); }

TEST_F(PipelinesTest, lumina) {
  expect_recorded_picture("lumina", "lumina_minimal_inference", lumina_request("lumina"));
}

TEST_F(PipelinesTest, lumina_with_its_authors_limits_of_guidance) {
  expect_recorded_picture("lumina_limited", "lumina_minimal_inference", lumina_request("lumina_limited"));
}

TEST_F(PipelinesTest, lumina_decoded_twice_as_the_reference_samples_it) {
  expect_picture_of_the_reference("lumina_sample", "lumina_minimal_inference", lumina_request("lumina_sample"));
}

}  // namespace
}  // namespace difftune
