// What Stable Diffusion 3 is told by a text: states of CLIP ViT-L, OpenCLIP ViT-bigG and T5 as one sequence, and the
// pooled states of the first two. Source: arXiv:2403.03206, appendix B; Stability-AI/sd3-ref, sd3_impls.py.
#pragma once

#include <string>
#include <vector>

#include "families/model_family.h"
#include "families/text/clip_text_rows.h"
#include "families/text/t5_part.h"
#include "models/clip_text.h"
#include "text/clip_tokenizer.h"

namespace difftune {

struct Sd3TextTokens {
  TokenTensors clip_l, clip_g, t5;
};

// CLIP ViT-bigG's rows are padded with id 0. T5's rows are 256 tokens by default.
Sd3TextTokens tokenize_sd3_text(const ClipTokenizer& clip_l, const ClipTokenizer& clip_g, const T5Tokenizer& t5,
                                const std::vector<std::string>& texts, int t5_length);

// "lg_out" [B, 77, 768 + 1280], "lg_pooled" [B, 768 + 1280], "clip_l_attn_mask" and "clip_g_attn_mask" int64 [B, 77]:
// the layers before the last without the final norm, and the projected features (CLIP-L's file has no projection:
// then the state itself).
Conditioning encode_sd3_clip_text(const ClipText& clip_l, const ClipText& clip_g, const Sd3TextTokens& tokens,
                                  bool masks_padding, c10::Device device);
// "t5_out" [B, tokens, 4096] and "t5_attn_mask" int64 [B, tokens].
Conditioning encode_sd3_t5_text(const T5Encoder& t5, const Sd3TextTokens& tokens, bool masks_padding,
                                c10::Device device);

// The sequence that the denoiser attends to: CLIP's features filled up with zeros to T5's width, then T5's tokens:
// [B, 77 + tokens, width]. Without T5 (undefined) 77 tokens of zeros stand for it, as in the original.
at::Tensor sd3_context(const at::Tensor& lg_out, const at::Tensor& t5_out, int64_t width = 4096);

}  // namespace difftune
