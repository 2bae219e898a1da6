// What FLUX.1 and Chroma are told by a text: CLIP ViT-L's pooled state, and T5's states of all tokens.
// Source: black-forest-labs/flux, src/flux/modules/conditioner.py and sampling.py.
#pragma once

#include <string>
#include <vector>

#include "families/model_family.h"
#include "families/text/clip_text_rows.h"
#include "families/text/t5_part.h"
#include "models/clip_text.h"
#include "text/clip_tokenizer.h"

namespace difftune {

struct FluxTextTokens {
  at::Tensor clip_ids;  // int64 [B, 77]; undefined for Chroma
  TokenTensors t5;      // [B, t5_length]
};

// `clip` is null for Chroma. T5's rows: 512 tokens for FLUX.1 dev and Chroma, 256 for schnell.
FluxTextTokens tokenize_flux_text(const ClipTokenizer* clip, const T5Tokenizer& t5,
                                  const std::vector<std::string>& texts, int t5_length);

// "l_pooled" [B, 768] (not for Chroma), "t5_out" [B, tokens, 4096], "txt_ids" [B, tokens, 3] (positions, all zero) and
// "t5_attn_mask" int64 [B, tokens]. With `masks_t5` T5's tokens do not see padding. What an encoder says
// is left out where it is null.
Conditioning encode_flux_text(const ClipText* clip, const T5Encoder* t5, const FluxTextTokens& tokens, bool masks_t5,
                              c10::Device device);

}  // namespace difftune
