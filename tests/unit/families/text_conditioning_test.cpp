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
#include "families/text/sd3_text.h"
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
  const Conditioning said = encode_flux_text(&clip, &t5, both, false, c10::kCPU);
  const at::Tensor states = clip.final_layer_norm(clip.forward(both.clip_ids).hidden_states.back());
  EXPECT_TRUE(at::allclose(said.at("l_pooled")[0], states[0][3]));
  EXPECT_EQ(both.clip_ids[1][8].item<int64_t>(), 49407);
  EXPECT_TRUE(at::allclose(said.at("l_pooled")[1], states[1][8]));
}

TEST_F(FluxText, MaskKeepsPaddingFromTheText) {
  const auto states = [&](int length, bool masks) {
    return encode_flux_text(&clip, &t5, tokens(length), masks, c10::kCPU).at("t5_out")[0].slice(0, 0, 4);
  };
  EXPECT_TRUE(at::allclose(states(16, true), states(24, true), 1e-4, 1e-5));
  EXPECT_FALSE(at::allclose(states(16, false), states(24, false), 1e-4, 1e-5));

  const Conditioning said = encode_flux_text(nullptr, &t5, tokens(16), true, c10::kCPU);
  EXPECT_FALSE(said.contains("l_pooled"));
  EXPECT_TRUE(at::equal(said.at("txt_ids"), at::zeros({2, 16, 3})));
  EXPECT_EQ(said.at("t5_attn_mask").sum().item<int64_t>(), tokens(16).t5.mask.sum().item<int64_t>());
}

TEST(Sd3Text, StatesOfAllEncodersSideBySide) {
  const at::NoGradGuard no_grad;
  const auto reader = random_weights(3);
  const ClipText l({.hidden_size = 8, .intermediate_size = 16, .num_layers = 2, .num_heads = 2}, *reader);
  const ClipText g({.hidden_size = 12, .intermediate_size = 16, .num_layers = 3, .num_heads = 2, .projection_size = 10},
                   *reader);
  const T5Encoder t5({.hidden_size = 24, .intermediate_size = 16, .num_layers = 1, .num_heads = 2, .head_size = 4},
                     *reader);
  const Sd3TextTokens tokens = tokenize_sd3_text(ClipTokenizer::builtin(), ClipTokenizer::builtin(),
                                                 T5Tokenizer::builtin(), {"a cat", "two dogs"}, 16);
  // Expected ids: transformers; the second encoder is padded with 0.
  EXPECT_TRUE(
      at::equal(tokens.clip_l.ids[0].slice(0, 0, 5), at::tensor({49406, 320, 2368, 49407, 49407}).to(at::kLong)));
  EXPECT_TRUE(at::equal(tokens.clip_g.ids[0].slice(0, 0, 5), at::tensor({49406, 320, 2368, 49407, 0}).to(at::kLong)));
  EXPECT_EQ(tokens.clip_g.mask[0].sum().item<int64_t>(), 4);

  for (const bool masks : {false, true}) {
    const Conditioning clip = encode_sd3_clip_text(l, g, tokens, masks, c10::kCPU);
    const at::Tensor no_mask;
    const auto l_states = l.forward(tokens.clip_l.ids, {}, masks ? tokens.clip_l.mask : no_mask).hidden_states;
    const auto g_states = g.forward(tokens.clip_g.ids, {}, masks ? tokens.clip_g.mask : no_mask).hidden_states;
    EXPECT_TRUE(at::allclose(clip.at("lg_out").slice(2, 0, 8), l_states[1]));
    EXPECT_TRUE(at::allclose(clip.at("lg_out").slice(2, 8), g_states[2]));
    EXPECT_TRUE(at::allclose(clip.at("lg_pooled")[0].slice(0, 0, 8), l.final_layer_norm(l_states[2])[0][3]));
    EXPECT_TRUE(at::allclose(clip.at("lg_pooled").slice(1, 8), g.pool(g_states[3], tokens.clip_g.ids, 49407)));

    const at::Tensor states = encode_sd3_t5_text(t5, tokens, masks, c10::kCPU).at("t5_out");
    const at::Tensor context = sd3_context(clip.at("lg_out"), states, 24);
    EXPECT_EQ(context.sizes(), (std::vector<int64_t>{2, 77 + 16, 24}));
    EXPECT_TRUE(at::equal(context.slice(1, 0, 77).slice(2, 0, 20), clip.at("lg_out")));
    EXPECT_EQ(context.slice(1, 0, 77).slice(2, 20).abs().sum().item<double>(), 0);
    EXPECT_TRUE(at::equal(context.slice(1, 77), states));
    EXPECT_EQ(sd3_context(clip.at("lg_out"), {}, 24).sizes(), (std::vector<int64_t>{2, 154, 24}));
  }
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
