// What open_model says to files that it cannot use.
#include "families/family_table.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "families/sd/sd_family.h"
#include "small_sd.h"

namespace difftune {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class OpenModel : public testing::Test {
 protected:
  std::string error(const fs::path& path, bool is_v2 = false) {
    return error_of([&] { open_model({.checkpoint = path}, "train_network", is_v2); });
  }
  std::string error_for_key(const std::string& key, std::vector<int64_t> shape = {1, 1}) {
    write_safetensors(folder / "file.safetensors", std::vector<NamedTensor>{{key, at::zeros(shape)}});
    return error(folder / "file.safetensors");
  }

  TemporaryFolder folder;
};

TEST_F(OpenModel, NothingThere) {
  EXPECT_THAT(error(""), HasSubstr("--pretrained_model_name_or_path is missing"));
  EXPECT_THAT(error("runwayml/stable-diffusion-v1-5"), HasSubstr("there is no such file or folder"));
  EXPECT_THAT(error(folder / ""), HasSubstr("not a Diffusers model"));
  write_file_atomically(folder / "text.safetensors", "hello");
  EXPECT_THAT(error(folder / "text.safetensors"), HasSubstr("text.safetensors"));
  write_file_atomically(folder / "model_index.json", "{}");
  EXPECT_THAT(error(folder / ""), HasSubstr("unet"));
}

TEST_F(OpenModel, OtherFamiliesNameTheirCommand) {
  EXPECT_THAT(error_for_key("double_blocks.0.img_attn.qkv.weight"),
              AllOf(HasSubstr("FLUX.1"), HasSubstr("flux_train_network")));
  write_safetensors(folder / "chroma.safetensors",
                    std::vector<NamedTensor>{{"distilled_guidance_layer.norms.0.scale", at::zeros({1})},
                                             {"double_blocks.0.img_attn.qkv.weight", at::zeros({1, 1})}});
  EXPECT_THAT(error(folder / "chroma.safetensors"), HasSubstr("--model_type chroma"));
  EXPECT_THAT(error_for_key("model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight"),
              HasSubstr("sd3_train_network"));
  EXPECT_THAT(error_for_key("context_refiner.0.attention.qkv.weight"), HasSubstr("lumina_train_network"));
  EXPECT_THAT(error_for_key("model.diffusion_model.label_emb.0.0.weight"), HasSubstr("sdxl_train_network"));
  EXPECT_THAT(error_for_key("unet.down_blocks.0.lora_A.weight"), HasSubstr("a LoRA, not a checkpoint"));
  EXPECT_THAT(error_for_key("lora_unet_x.lora_down.weight"), HasSubstr("a LoRA, not a checkpoint"));
  EXPECT_THAT(error_for_key("something.else"),
              AllOf(HasSubstr("not a checkpoint of a known model family"), HasSubstr("something.else")));
}

TEST_F(OpenModel, VersionsMustAgree) {
  SmallSd(small_sd_config(false)).write_ldm(folder / "v1.safetensors");
  SmallSd(small_sd_config(true)).write_ldm(folder / "v2.safetensors");
  EXPECT_EQ(error(folder / "v1.safetensors", false), "");
  EXPECT_EQ(error(folder / "v2.safetensors", true), "");
  EXPECT_THAT(error(folder / "v1.safetensors", true), HasSubstr("this is Stable Diffusion 1.x: leave out --v2"));
  EXPECT_THAT(error(folder / "v2.safetensors", false), HasSubstr("this is Stable Diffusion 2.x: add --v2"));
}

TEST_F(OpenModel, VOneUnderAnotherCommand) {
  SmallSd(small_sd_config(false)).write_ldm(folder / "v1.safetensors");
  EXPECT_THAT(error_of([&] { open_model({.checkpoint = folder / "v1.safetensors"}, "sdxl_train_network", false); }),
              HasSubstr("the command for it is train_network"));
}

// Every tensor in turn left out, or of another shape: always one line that names the file, never a crash.
class DamagedModel : public testing::TestWithParam<bool> {
 protected:
  // The small model without memory.
  static std::vector<NamedTensor> intact() {
    auto tensors = SmallSd(small_sd_config(GetParam())).ldm();
    for (auto& [key, tensor] : tensors) tensor = at::empty(tensor.sizes(), at::TensorOptions(c10::kMeta));
    return tensors;
  }
  // In the layer that SD 2.x does not use.
  static bool is_unused(const std::string& key) { return key.find("resblocks.2.") != std::string::npos; }

  static void try_all(const std::vector<NamedTensor>& tensors) {
    const auto source = std::make_shared<MemorySource>(tensors, Metadata{}, "broken.safetensors");
    if (!is_sd1(*source) && !is_sd2(*source)) return fail("broken.safetensors: not recognised");
    const auto family = make_sd_family(source, {.device = c10::kMeta});
    for (const auto part : {Component::text_encoders, Component::vae, Component::denoiser}) family->load(part);
  }
};

TEST_P(DamagedModel, MissingTensors) {
  const auto tensors = intact();
  ASSERT_EQ(error_of([&] { try_all(tensors); }), "");
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (is_unused(tensors[i].first)) continue;
    auto damaged = tensors;
    damaged.erase(damaged.begin() + static_cast<int64_t>(i));
    EXPECT_THAT(error_of([&] { try_all(damaged); }), HasSubstr("broken.safetensors")) << tensors[i].first;
  }
}

TEST_P(DamagedModel, WrongShapes) {
  const auto tensors = intact();
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (is_unused(tensors[i].first)) continue;
    for (const auto& shape : std::vector<std::vector<int64_t>>{{}, {5}, {0, 0}, {7, 5, 3, 3}}) {
      auto damaged = tensors;
      damaged[i].second = at::empty(shape, at::TensorOptions(c10::kMeta));
      EXPECT_THAT(error_of([&] { try_all(damaged); }), HasSubstr("broken.safetensors")) << tensors[i].first;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, DamagedModel, testing::Bool(), [](const auto& info) { return info.param ? "v2" : "v1"; });

}  // namespace
}  // namespace difftune
