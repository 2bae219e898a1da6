#include "families/text/flux_text.h"

#include <ATen/ops/zeros.h>

namespace difftune {

FluxTextTokens tokenize_flux_text(const ClipTokenizer* clip, const T5Tokenizer& t5,
                                  const std::vector<std::string>& texts, int t5_length) {
  FluxTextTokens tokens;
  if (clip != nullptr) tokens.clip_ids = tokenize_clip_rows(*clip, texts, clip->eos_id()).ids;
  std::vector<TokenRow> rows;
  for (const std::string& text : texts) rows.push_back(t5.row(text, t5_length));
  tokens.t5 = stack_rows(rows);
  return tokens;
}

Conditioning encode_flux_text(const ClipText* clip, const T5Encoder* t5, const FluxTextTokens& tokens, bool masks_t5,
                              c10::Device device) {
  Conditioning conditioning;
  if (clip != nullptr) {
    const at::Tensor ids = tokens.clip_ids.to(device);
    const at::Tensor last = clip->forward(ids).hidden_states.back();
    conditioning["l_pooled"] = clip->final_layer_norm(state_of_eos(last, ids));
  }
  if (t5 == nullptr) return conditioning;
  const at::Tensor mask = tokens.t5.mask.to(device);
  const at::Tensor states = t5->forward(tokens.t5.ids.to(device), masks_t5 ? mask : at::Tensor());
  conditioning["t5_out"] = states;
  conditioning["txt_ids"] = at::zeros({states.size(0), states.size(1), 3}, states.options().dtype(at::kFloat));
  conditioning["t5_attn_mask"] = mask;
  return conditioning;
}

}  // namespace difftune
