// What the DiT families tell their denoisers: the small encoders' own tests compare them with transformers, so here it
// is the wiring that is looked at.
#include <ATen/TensorOperators.h>
#include <ATen/core/Generator.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <ATen/CPUGeneratorImpl.h>

#include "families/text/flux_text.h"
#include "families/text/lumina_text.h"
#include "nn/parameter_scope.h"

namespace difftune {
namespace {

std::unique_ptr<nn::ParameterReader> random_weights(uint64_t seed) {
  return nn::make_initializer(at::make_generator<at::CPUGeneratorImpl>(seed), at::kFloat);
}

class FluxText : public testing::Test {
 protected:
  std::unique_ptr<nn::ParameterReader> reader = random_weights(1);
  ClipText clip{{.hidden_size = 8, .intermediate_size = 16, .num_layers = 2, .num_heads = 2}, *reader};
  T5Encoder t5{{.hidden_size = 8, .intermediate_size = 16, .num_layers = 2, .num_heads = 2, .head_size = 4}, *reader};
  std::vector<std::string> texts = {"a cat", "two dogs on a boat at sea"};
  at::NoGradGuard no_grad;

  FluxTextTokens tokens(int length) const {
    return tokenize_flux_text(&ClipTokenizer::builtin(), T5Tokenizer::builtin(), texts, length);
  }
};

TEST_F(FluxText, TokensAreFilledUpAndCut) {
  const FluxTextTokens both = tokens(16);
  EXPECT_EQ(both.clip_ids.sizes(), (std::vector<int64_t>{2, 77}));
  // Expected ids: transformers.
  EXPECT_TRUE(at::equal(both.clip_ids[0].slice(0, 0, 5), at::tensor({49406, 320, 2368, 49407, 49407}).to(at::kLong)));
  EXPECT_EQ(both.t5.ids.sizes(), (std::vector<int64_t>{2, 16}));
  EXPECT_EQ(both.t5.mask[0].sum().item<int64_t>(), 4);  // "▁", "a", "▁cat", </s>
  EXPECT_EQ(tokens(4).t5.ids[1][3].item<int64_t>(), T5Tokenizer::kEosId);

  texts = {std::string(1000, 'x') + " y"};
  const at::Tensor cut = tokens(4).clip_ids;
  EXPECT_EQ(cut[0][76].item<int64_t>(), 49407);
}

TEST_F(FluxText, PooledStateIsTheOneAtTheFirstEos) {
  const FluxTextTokens both = tokens(16);
  const Conditioning said = encode_flux_text(&clip, t5, both, false, c10::kCPU);
  const at::Tensor states = clip.final_layer_norm(clip.forward(both.clip_ids).hidden_states.back());
  EXPECT_TRUE(at::allclose(said.at("l_pooled")[0], states[0][3]));
  EXPECT_EQ(both.clip_ids[1][8].item<int64_t>(), 49407);
  EXPECT_TRUE(at::allclose(said.at("l_pooled")[1], states[1][8]));
}

TEST_F(FluxText, MaskKeepsPaddingFromTheText) {
  const auto states = [&](int length, bool masks) {
    return encode_flux_text(&clip, t5, tokens(length), masks, c10::kCPU).at("t5_out")[0].slice(0, 0, 4);
  };
  EXPECT_TRUE(at::allclose(states(16, true), states(24, true), 1e-4, 1e-5));
  EXPECT_FALSE(at::allclose(states(16, false), states(24, false), 1e-4, 1e-5));

  const Conditioning said = encode_flux_text(nullptr, t5, tokens(16), true, c10::kCPU);
  EXPECT_FALSE(said.contains("l_pooled"));
  EXPECT_TRUE(at::equal(said.at("txt_ids"), at::zeros({2, 16, 3})));
  EXPECT_EQ(said.at("t5_attn_mask").sum().item<int64_t>(), tokens(16).t5.mask.sum().item<int64_t>());
}

TEST(LuminaText, PromptBeginsWithTheSystemPrompt) {
  EXPECT_EQ(lumina_prompt("You draw.", "a cat"), "You draw. <Prompt Start> a cat");
  EXPECT_EQ(lumina_prompt("", "a cat"), "a cat");
}

TEST(LuminaText, RowsAreFilledUpToAMultipleOfEight) {
  const at::NoGradGuard no_grad;
  const auto tokenizer = GemmaTokenizer::from_file(TEST_DATA_DIR "/text/small_gemma.model");
  const std::string text = "a photo of an old lighthouse at dusk, warm light, long exposure";
  ASSERT_GT(tokenizer.encode(text).size(), 9u);
  const TokenTensors tokens = tokenize_lumina_text(tokenizer, {"", text}, 10);
  EXPECT_EQ(tokens.ids.sizes(), (std::vector<int64_t>{2, 16}));
  EXPECT_EQ(tokens.mask[0].sum().item<int64_t>(), 1);  // <bos>
  EXPECT_EQ(tokens.mask[1].sum().item<int64_t>(), 10);
  EXPECT_EQ(tokens.ids[1][0].item<int64_t>(), GemmaTokenizer::kBosId);

  const auto reader = random_weights(2);
  const Gemma2 gemma({.vocabulary_size = 1800,
                      .hidden_size = 8,
                      .intermediate_size = 16,
                      .num_layers = 2,
                      .num_heads = 2,
                      .num_key_value_heads = 1,
                      .head_size = 4},
                     *reader);
  const Conditioning said = encode_lumina_text(gemma, tokens, c10::kCPU);
  EXPECT_EQ(said.at("hidden_state").sizes(), (std::vector<int64_t>{2, 16, 8}));
  EXPECT_TRUE(at::equal(said.at("input_ids"), tokens.ids));
  EXPECT_TRUE(at::equal(said.at("attention_mask"), tokens.mask));
}

}  // namespace
}  // namespace difftune
