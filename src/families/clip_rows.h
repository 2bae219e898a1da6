// Prompts as CLIP's text encoders take them, as tensors: rows of 77 tokens.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>
#include <vector>

#include "base/files.h"
#include "models/clip_text.h"
#include "text/clip_tokenizer.h"
#include "text/prompt_tokens.h"

namespace difftune {

// Training captions of at most `max_token_length` tokens each; with `weighted` brackets in them are read as weights.
std::vector<PromptTokens> tokenize_captions(const ClipTokenizer& tokenizer, const std::vector<std::string>& captions,
                                            int max_token_length, bool weighted);

// [B, n, 77] int64; every text has the same number n of rows.
at::Tensor stack_ids(const std::vector<PromptTokens>& prompts);
// [B, n, 77] float32.
at::Tensor stack_weights(const std::vector<PromptTokens>& prompts);

// States of rows of 77 tokens, [B, n, 77, d], as one sequence that keeps BOS of the first row, the 75 tokens of each
// and the last state: [B, 75 n + 2, d].
at::Tensor join_rows(const at::Tensor& states);

// Throws UserError where the tokenizer gives numbers that the encoder's table does not have. `model` is the file.
void check_vocabulary(const at::Tensor& ids, const ClipTextConfig& config, const fs::path& model);

}  // namespace difftune
