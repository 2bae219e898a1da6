// Prompts as the text encoders take them: rows of 77 ids with BOS and EOS, and a weight per token where asked for.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "text/clip_tokenizer.h"

namespace difftune {

// Ids of one pass of a CLIP text encoder: BOS, 75 tokens, EOS.
inline constexpr int kClipChunkLength = 77;

struct PromptTokens {
  std::vector<int32_t> ids;    // [num_chunks, 77], row by row
  std::vector<float> weights;  // as ids; empty where the prompt was read without weights
  int num_chunks = 0;
  int num_cut_tokens = 0;  // tokens at the end of the prompt that found no place

  bool is_truncated() const { return num_cut_tokens > 0; }
};

// A training caption of at most `max_token_length` tokens (75, 150 or 225): BOS, tokens, EOS, padding with `pad_id`;
// longer than 77, it is cut into rows of 75 with BOS in front and the last id behind. Rows not padded with EOS get an
// EOS where they would end on a word or hold padding alone. Source: _get_input_ids of the reference.
PromptTokens tokenize_prompt(const ClipTokenizer& tokenizer, std::string_view caption, int max_token_length,
                             int32_t pad_id);

// The same for --weighted_captions: brackets are read by parse_prompt_weights, every token has the weight of its text;
// BOS, EOS and padding weigh 1.
PromptTokens tokenize_weighted_prompt(const ClipTokenizer& tokenizer, std::string_view caption, int max_token_length,
                                      int32_t pad_id);

struct SamplePromptTokens {
  PromptTokens prompt;
  std::optional<PromptTokens> negative;  // as many rows as `prompt`
};

// A weighted prompt and negative prompt (nullopt without guidance) of a sample image, both with the number of rows that
// the longer one needs, at most `max_chunks`. Rows are filled up with EOS whatever `pad_id` is; the encoder's states of
// all rows are joined whole. Source: get_weighted_text_embeddings of diffusers' long prompt weighting pipeline, as the
// reference calls it (BOS and EOS stay in the middle; the caller scales the weighted states back to their mean).
SamplePromptTokens tokenize_sample_prompt(const ClipTokenizer& tokenizer, std::string_view prompt,
                                          std::optional<std::string_view> negative, int32_t pad_id, int max_chunks = 3);

}  // namespace difftune
