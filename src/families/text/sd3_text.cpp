#include "families/text/sd3_text.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/zeros.h>

#include "base/error.h"

namespace difftune {
namespace {

struct ClipStates {
  at::Tensor hidden, pooled;
};

ClipStates encode(const ClipText& clip, const TokenTensors& tokens, bool masks_padding, c10::Device device) {
  const at::Tensor ids = tokens.ids.to(device), mask = masks_padding ? tokens.mask.to(device) : at::Tensor();
  const auto states = clip.forward(ids, std::nullopt, mask).hidden_states;
  DT_CHECK(states.size() >= 2);
  const bool has_projection = clip.config().projection_size > 0;
  return {states[states.size() - 2], has_projection ? clip.pool(states.back(), ids, ids.max().item<int64_t>())
                                                    : clip.final_layer_norm(state_of_eos(states.back(), ids))};
}

}  // namespace

Sd3TextTokens tokenize_sd3_text(const ClipTokenizer& clip_l, const ClipTokenizer& clip_g, const T5Tokenizer& t5,
                                const std::vector<std::string>& texts, int t5_length) {
  std::vector<TokenRow> rows;
  for (const std::string& text : texts) rows.push_back(t5.row(text, t5_length));
  constexpr int32_t kPadG = 0;
  return {tokenize_clip_rows(clip_l, texts, clip_l.eos_id()), tokenize_clip_rows(clip_g, texts, kPadG),
          stack_rows(rows)};
}

Conditioning encode_sd3_clip_text(const ClipText& clip_l, const ClipText& clip_g, const Sd3TextTokens& tokens,
                                  bool masks_padding, c10::Device device) {
  const ClipStates l = encode(clip_l, tokens.clip_l, masks_padding, device);
  const ClipStates g = encode(clip_g, tokens.clip_g, masks_padding, device);
  return {{"lg_out", at::cat({l.hidden, g.hidden}, -1)},
          {"lg_pooled", at::cat({l.pooled, g.pooled}, -1)},
          {"clip_l_attn_mask", tokens.clip_l.mask.to(device)},
          {"clip_g_attn_mask", tokens.clip_g.mask.to(device)}};
}

Conditioning encode_sd3_t5_text(const T5Encoder& t5, const Sd3TextTokens& tokens, bool masks_padding,
                                c10::Device device) {
  const at::Tensor mask = tokens.t5.mask.to(device);
  return {{"t5_out", t5.forward(tokens.t5.ids.to(device), masks_padding ? mask : at::Tensor())},
          {"t5_attn_mask", mask}};
}

at::Tensor sd3_context(const at::Tensor& lg_out, const at::Tensor& t5_out, int64_t width) {
  const at::Tensor clip = at::constant_pad_nd(lg_out, {0, width - lg_out.size(2)});
  return at::cat({clip, t5_out.defined() ? t5_out.to(clip.scalar_type()) : at::zeros(clip.sizes(), clip.options())}, 1);
}

}  // namespace difftune
