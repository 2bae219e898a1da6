// Text to token ids for Gemma 2 (arXiv:2408.00118): the bare text, spaces marked, joined from characters to pieces.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "text/added_tokens.h"
#include "text/piece_merges.h"
#include "text/sentencepiece_model.h"
#include "text/token_row.h"

namespace difftune {

// Gives the ids of GemmaTokenizerFast of transformers 4.54, made from a tokenizer.model. Immutable, so threads may
// share one.
class GemmaTokenizer {
 public:
  static constexpr int32_t kPadId = 0, kEosId = 1, kBosId = 2, kUnknownId = 3;

  // `name` begins the messages about a model that does not fit.
  GemmaTokenizer(const SentencePieceModel& model, std::string_view name);
  static GemmaTokenizer from_file(const fs::path& tokenizer_model);

  // Ids without BOS, not cut. Throws UserError where `text` is not UTF-8.
  std::vector<int32_t> encode(std::string_view text) const;
  // BOS, the text cut to length - 1 tokens, padding on the right.
  TokenRow row(std::string_view text, int length) const;

 private:
  PieceMerges merges_;
  AddedTokens added_tokens_;
};

}  // namespace difftune
