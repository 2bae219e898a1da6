#include "families/text/flux_text.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/index.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "text/prompt_tokens.h"

namespace difftune {

TokenTensors tokenize_clip_rows(const ClipTokenizer& tokenizer, const std::vector<std::string>& texts, int32_t pad_id) {
  std::vector<TokenRow> rows;
  for (const std::string& text : texts) {
    const std::vector<int32_t> ids = tokenizer.encode(text);
    const auto num_kept = static_cast<int>(std::min<size_t>(ids.size(), kClipChunkLength - 2));
    TokenRow row{{tokenizer.bos_id()}};
    row.ids.insert(row.ids.end(), ids.begin(), ids.begin() + num_kept);
    row.ids.push_back(tokenizer.eos_id());
    row.mask.assign(row.ids.size(), 1);
    row.ids.resize(kClipChunkLength, pad_id);
    row.mask.resize(kClipChunkLength, 0);
    rows.push_back(std::move(row));
  }
  return stack_rows(rows);
}

FluxTextTokens tokenize_flux_text(const ClipTokenizer* clip, const T5Tokenizer& t5,
                                  const std::vector<std::string>& texts, int t5_length) {
  FluxTextTokens tokens;
  if (clip != nullptr) tokens.clip_ids = tokenize_clip_rows(*clip, texts, clip->eos_id()).ids;
  std::vector<TokenRow> rows;
  for (const std::string& text : texts) rows.push_back(t5.row(text, t5_length));
  tokens.t5 = stack_rows(rows);
  return tokens;
}

at::Tensor state_of_eos(const at::Tensor& hidden, const at::Tensor& ids) {
  const at::Tensor rows = at::arange(hidden.size(0), ids.options());
  return at::index(hidden, {rows, at::argmax(ids, 1)});
}

Conditioning encode_flux_text(const ClipText* clip, const T5Encoder& t5, const FluxTextTokens& tokens, bool masks_t5,
                              c10::Device device) {
  Conditioning conditioning;
  if (clip != nullptr) {
    const at::Tensor ids = tokens.clip_ids.to(device);
    const at::Tensor last = clip->forward(ids).hidden_states.back();
    conditioning["l_pooled"] = clip->final_layer_norm(state_of_eos(last, ids));
  }
  const at::Tensor mask = tokens.t5.mask.to(device);
  const at::Tensor states = t5.forward(tokens.t5.ids.to(device), masks_t5 ? mask : at::Tensor());
  conditioning["t5_out"] = states;
  conditioning["txt_ids"] = at::zeros({states.size(0), states.size(1), 3}, states.options().dtype(at::kFloat));
  conditioning["t5_attn_mask"] = mask;
  return conditioning;
}

}  // namespace difftune
