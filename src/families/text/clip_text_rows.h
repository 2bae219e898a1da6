// Texts as the DiT families give them to CLIP: one row of 77 tokens each.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "families/text/t5_part.h"
#include "text/clip_tokenizer.h"

namespace difftune {

// BOS, the text cut to 75 tokens, EOS, padding: int64 [B, 77], and which tokens are not padding.
TokenTensors tokenize_clip_rows(const ClipTokenizer& tokenizer, const std::vector<std::string>& texts, int32_t pad_id);

// The states of the row's first EOS, which is the first of its greatest ids: hidden [B, 77, d] → [B, d].
at::Tensor state_of_eos(const at::Tensor& hidden, const at::Tensor& ids);

}  // namespace difftune
