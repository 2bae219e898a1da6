// Texts as the DiT families give them to CLIP: one row of 77 tokens each.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/files.h"
#include "families/text/t5_part.h"
#include "text/clip_tokenizer.h"

namespace difftune {

// The tokenizer of CLIP in --tokenizer_cache_dir, under the model's id with "_" for "/", else a built-in one.
std::shared_ptr<const ClipTokenizer> load_clip_tokenizer(const std::string& id,
                                                         const std::optional<fs::path>& tokenizer_cache,
                                                         const ClipTokenizer& builtin = ClipTokenizer::builtin());
inline constexpr const char *kClipLId = "openai/clip-vit-large-patch14",
                            *kClipGId = "laion/CLIP-ViT-bigG-14-laion2B-39B-b160k";

// BOS, the text cut to 75 tokens, EOS, padding: int64 [B, 77], and which tokens are not padding.
TokenTensors tokenize_clip_rows(const ClipTokenizer& tokenizer, const std::vector<std::string>& texts, int32_t pad_id);

// The states of the row's first EOS, which is the first of its greatest ids: hidden [B, 77, d] → [B, d].
at::Tensor state_of_eos(const at::Tensor& hidden, const at::Tensor& ids);

}  // namespace difftune
