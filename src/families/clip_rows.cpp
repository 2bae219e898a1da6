#include "families/clip_rows.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include "base/error.h"

namespace difftune {

std::vector<PromptTokens> tokenize_captions(const ClipTokenizer& tokenizer, const std::vector<std::string>& captions,
                                            int max_token_length, bool weighted) {
  std::vector<PromptTokens> prompts;
  const auto tokenize = weighted ? tokenize_weighted_prompt : tokenize_prompt;
  for (const auto& caption : captions) {
    prompts.push_back(tokenize(tokenizer, caption, max_token_length, tokenizer.pad_id()));
  }
  return prompts;
}

at::Tensor stack_ids(const std::vector<PromptTokens>& prompts) {
  std::vector<at::Tensor> rows;
  for (const auto& prompt : prompts) {
    rows.push_back(at::tensor(prompt.ids).to(at::kLong).view({prompt.num_chunks, kClipChunkLength}));
  }
  return at::stack(rows);
}

at::Tensor stack_weights(const std::vector<PromptTokens>& prompts) {
  std::vector<at::Tensor> rows;
  for (const auto& prompt : prompts) {
    rows.push_back(at::tensor(prompt.weights).view({prompt.num_chunks, kClipChunkLength}));
  }
  return at::stack(rows);
}

at::Tensor join_rows(const at::Tensor& states) {
  if (states.size(1) == 1) return states.squeeze(1);
  std::vector<at::Tensor> pieces = {states.select(1, 0).slice(1, 0, 1)};
  for (int64_t row = 0; row < states.size(1); ++row) pieces.push_back(states.select(1, row).slice(1, 1, 76));
  pieces.push_back(states.select(1, states.size(1) - 1).slice(1, 76, 77));
  return at::cat(pieces, 1);
}

void check_vocabulary(const at::Tensor& ids, const ClipTextConfig& config, const fs::path& model) {
  if (const auto largest = ids.max().item<int64_t>(); largest >= config.vocabulary_size) {
    fail(
        "{}: the text encoder knows {} tokens, the tokenizer gives number {}: --tokenizer_cache_dir must name the "
        "folder with this model's tokenizer",
        model.string(), config.vocabulary_size, largest);
  }
}

}  // namespace difftune
