// Arithmetic of merge_models and of the FLUX LoRA conversion, on tensors small enough to check by hand.
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "weight_tools/convert_flux_lora.h"
#include "weight_tools/merge_models.h"
#include "weights/open_weights.h"
#include "weights/torch_pickle.h"

namespace difftune {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class WeightTools : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path write(const std::string& name, std::vector<NamedTensor> tensors) const {
    write_safetensors(folder_ / name, tensors);
    return folder_ / name;
  }
  template <typename Act>
  static std::string error_of(const Act& act) {
    try {
      act();
    } catch (const UserError& error) {
      return error.what();
    }
    return "";
  }
  std::vector<std::string> names() const {
    std::vector<std::string> result;
    for (const auto& entry : fs::directory_iterator(folder_)) result.push_back(entry.path().filename());
    std::sort(result.begin(), result.end());
    return result;
  }
  std::map<std::string, at::Tensor> made(const MergeModelsPlan& plan) const {
    std::map<std::string, at::Tensor> result;
    for (const TensorRecipe& recipe : plan.recipes) result[recipe.tensor.name] = recipe.make();
    return result;
  }

  fs::path folder_ = fs::temp_directory_path() / fmt::format("difftune_weight_tools_{}", getpid());
};

const std::string kUnet = "model.diffusion_model.w", kVae = "first_stage_model.w";

TEST_F(WeightTools, MergeAddsByRatioAndFillsUpFromTheFirst) {
  const auto a = write("a.safetensors", {{kUnet, at::full({2}, 8.0)}, {"only.a", at::full({2}, 2.0)}});
  const auto b = write("b.safetensors", {{kUnet, at::full({2}, 16.0)}, {"only.b", at::ones({1})}});
  const MergeModelsPlan plan = plan_merge_models({.models = {a, b}, .ratios = {0.25, 0.75}});
  const auto tensors = made(plan);
  EXPECT_TRUE(at::equal(tensors.at(kUnet), at::full({2}, 14.0)));
  EXPECT_TRUE(at::equal(tensors.at("only.a"), at::full({2}, 2.0)));  // 0.25 × 2 + 0.75 × 2
  EXPECT_EQ(tensors.size(), 2u);
  EXPECT_THAT(plan.missing_in_some, ElementsAre("only.a"));
  EXPECT_EQ(plan.skipped.size(), 1u);
  const auto equal = made(plan_merge_models({.models = {a, b}}));
  EXPECT_TRUE(at::equal(equal.at(kUnet), at::full({2}, 12.0)));
}

TEST_F(WeightTools, MergeOfTheUnetLeavesTheRestToTheFirst) {
  const auto a = write("a.safetensors", {{kUnet, at::full({1}, 2.0)}, {kVae, at::full({1}, 3.0)}});
  const auto b = write("b.safetensors", {{kUnet, at::full({1}, 4.0)}, {kVae, at::full({1}, 5.0)}});
  const auto tensors = made(plan_merge_models({.models = {a, b}, .unet_only = true}));
  EXPECT_TRUE(at::equal(tensors.at(kUnet), at::full({1}, 3.0)));
  EXPECT_TRUE(at::equal(tensors.at(kVae), at::full({1}, 3.0)));
}

TEST_F(WeightTools, MergeTakesBothNamesOfATextEncoder) {
  const std::string root = "cond_stage_model.transformer.";
  const auto a = write("a.safetensors", {{root + "text_model.encoder.w", at::full({1}, 2.0)}});
  const auto b = write("b.safetensors", {{root + "encoder.w", at::full({1}, 4.0)}});
  EXPECT_TRUE(at::equal(made(plan_merge_models({.models = {a, b}})).begin()->second, at::full({1}, 3.0)));
  // sd-scripts adds the first model's once more: 1 + 2 + 0.5 × 2.
  const auto quirk = made(plan_merge_models({.models = {a, b}, .reference_quirks = true}));
  EXPECT_TRUE(at::equal(quirk.begin()->second, at::full({1}, 4.0)));
}

TEST_F(WeightTools, MergeRefusesWhatDoesNotFit) {
  const auto a = write("a.safetensors", {{kUnet, at::ones({2})}}), b = write("b.safetensors", {{kUnet, at::ones({3})}}),
             c = write("c.safetensors", {{"other", at::ones({3})}});
  const std::string shapes = error_of([&] { plan_merge_models({.models = {a, b}}); });
  EXPECT_THAT(shapes, HasSubstr(kUnet));
  EXPECT_THAT(shapes, HasSubstr("[3]"));
  EXPECT_THAT(shapes, HasSubstr("[2]"));
  EXPECT_THAT(error_of([&] { plan_merge_models({.models = {a, c}}); }), HasSubstr("no tensor in common"));
  EXPECT_THROW(plan_merge_models({.models = {a, b}, .ratios = {1.0}}), UsageError);
}

TEST_F(WeightTools, WritingRefusesNanAndOverflowAndLeavesTheOldFile) {
  const auto broken = write("broken.safetensors", {{"x.w", at::full({3}, NAN)}});
  const auto large = write("large.safetensors", {{"y.w", at::full({3}, 1e6)}});
  const auto old = write("out.safetensors", {{"old", at::ones({1})}});
  const auto before = names();
  const auto convert = [&](const fs::path& input, const std::string& key, c10::ScalarType dtype) {
    const auto source = open_weights(input);
    return error_of([&] { write_checkpoint({.path = old}, {copy_recipe(key, {source, key}, dtype)}, "test"); });
  };
  EXPECT_THAT(convert(broken, "x.w", at::kFloat), HasSubstr("broken.safetensors: tensor 'x.w' holds NaN"));
  EXPECT_THAT(convert(large, "y.w", at::kHalf), HasSubstr("tensor 'y.w' has values beyond the range of float16"));
  EXPECT_THAT(convert(large, "y.w", at::kFloat8_e4m3fn), HasSubstr("beyond the range of float8_e4m3fn"));
  EXPECT_EQ(names(), before);
  EXPECT_THAT(open_weights(old)->keys(), ElementsAre("old"));
  EXPECT_EQ(convert(large, "y.w", at::kBFloat16), "");
  EXPECT_EQ(open_weights(old)->info("y.w").dtype, at::kBFloat16);
}

TEST_F(WeightTools, ATorchCheckpointReadsBack) {
  const auto input = write("in.safetensors", {{"a", at::ones({2, 3})}, {"s", at::scalar_tensor(7, at::kLong)}});
  const auto source = open_weights(input);
  CheckpointOutput output{.path = folder_ / "out.ckpt"};
  output.torch.state_dict_beside = {{"epoch", 3}, {"global_step", int64_t{1} << 40}};
  write_checkpoint(output, {copy_recipe("a", {source, "a"}, at::kHalf), copy_recipe("s", {source, "s"})}, "test");
  const TorchCheckpoint read(output.path);
  EXPECT_THAT(read.keys(), ElementsAre("a", "s"));
  EXPECT_TRUE(at::equal(read.tensor("a"), at::ones({2, 3}, at::kHalf)));
  EXPECT_EQ(read.tensor("s").item<int64_t>(), 7);
  EXPECT_EQ(read.integer("epoch"), 3);
  EXPECT_EQ(read.integer("global_step"), int64_t{1} << 40);
  EXPECT_FALSE(read.integer("state_dict"));
}

// The weight change of a module in sd-scripts' layout: up · down · alpha / rank.
at::Tensor change(const std::map<std::string, at::Tensor>& lora, const std::string& module) {
  const at::Tensor& down = lora.at(module + ".lora_down.weight");
  const double scale = lora.at(module + ".alpha").item<double>() / static_cast<double>(down.size(0));
  return lora.at(module + ".lora_up.weight").matmul(down).mul(scale);
}

TEST_F(WeightTools, FusedPartsOfALoraBecomeBlocksAndComeBack) {
  const std::string attention = "transformer.single_transformer_blocks.7.",
                    module = "lora_unet_single_blocks_7_linear1";
  std::vector<NamedTensor> parts;
  int64_t value = 1;
  for (const char* part : {"attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"}) {
    const int64_t rows = std::string(part) == "proj_mlp" ? 8 : 2;
    parts.emplace_back(attention + part + ".lora_A.weight", at::full({1, 3}, static_cast<double>(value++)));
    parts.emplace_back(attention + part + ".lora_B.weight", at::full({rows, 1}, static_cast<double>(value++)));
  }
  const MemorySource lora(parts);
  const ConvertedLora converted = flux_lora_from_ai_toolkit(lora);
  EXPECT_EQ(converted.num_modules_read, 4u);
  EXPECT_EQ(converted.num_modules_written, 1u);
  const std::map<std::string, at::Tensor> tensors(converted.tensors.begin(), converted.tensors.end());
  const at::Tensor whole = change(tensors, module);
  EXPECT_TRUE(at::equal(whole.narrow(0, 0, 2), at::full({2, 3}, 1.0 * 2)));
  EXPECT_TRUE(at::equal(whole.narrow(0, 2, 2), at::full({2, 3}, 3.0 * 4)));
  EXPECT_TRUE(at::equal(whole.narrow(0, 6, 8), at::full({8, 3}, 7.0 * 8)));
  EXPECT_EQ(tensors.at(module + ".alpha").item<double>(), 4);

  const ConvertedLora back = flux_lora_to_ai_toolkit(MemorySource(converted.tensors));
  const std::map<std::string, at::Tensor> restored(back.tensors.begin(), back.tensors.end());
  EXPECT_EQ(restored.size(), parts.size());
  for (const auto& [name, tensor] : parts) EXPECT_TRUE(at::equal(restored.at(name), tensor)) << name;

  // A LoRA of q and v alone leaves the other rows as they are.
  const ConvertedLora partial = flux_lora_from_ai_toolkit(MemorySource({parts[0], parts[1], parts[4], parts[5]}));
  const std::map<std::string, at::Tensor> some(partial.tensors.begin(), partial.tensors.end());
  EXPECT_TRUE(at::equal(change(some, module).narrow(0, 2, 2), at::zeros({2, 3})));
  EXPECT_TRUE(at::equal(change(some, module).narrow(0, 4, 2), at::full({2, 3}, 5.0 * 6)));
}

TEST_F(WeightTools, ADenseFusedLoraIsCopiedToEachPartWithItsAlpha) {
  const std::string module = "lora_unet_double_blocks_0_img_attn_qkv";
  const MemorySource lora({{module + ".lora_down.weight", at::full({3, 2}, 2.0)},
                           {module + ".lora_up.weight", at::full({6, 3}, 1.0)},
                           {module + ".alpha", at::scalar_tensor(1.5)}});
  const ConvertedLora converted = flux_lora_to_ai_toolkit(lora);
  const std::map<std::string, at::Tensor> tensors(converted.tensors.begin(), converted.tensors.end());
  const std::string k = "transformer.transformer_blocks.0.attn.to_k.";
  EXPECT_TRUE(
      at::equal(tensors.at(k + "lora_B.weight").matmul(tensors.at(k + "lora_A.weight")), at::full({2, 2}, 3.0)));
  EXPECT_EQ(converted.num_modules_written, 3u);
}

TEST_F(WeightTools, AHalfOfAPairAndRanksThatDifferAreRefused) {
  const std::string module = "lora_unet_double_blocks_0_img_attn_proj";
  const NamedTensor down{module + ".lora_down.weight", at::ones({2, 4})};
  EXPECT_THAT(error_of([&] { flux_lora_to_ai_toolkit(MemorySource({down})); }), HasSubstr("has no '.lora_up.weight'"));
  const NamedTensor up{module + ".lora_up.weight", at::ones({4, 3})};
  EXPECT_THAT(error_of([&] { flux_lora_to_ai_toolkit(MemorySource({down, up})); }), HasSubstr("[4, 3]"));
}

}  // namespace
}  // namespace difftune
