// Text to token ids for T5 v1.1 (arXiv:1910.10683): text mended by the model's own NFKC, cut at spaces, then into the
// pieces of a unigram model.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "text/added_tokens.h"
#include "text/charsmap.h"
#include "text/sentencepiece_model.h"
#include "text/token_row.h"
#include "text/unigram.h"

namespace difftune {

// Gives the ids of T5TokenizerFast of transformers 4.54, made from a spiece.model, which are not always SentencePiece's
// own: marks such as </s> in the text become their ids, spaces at the end fall away but not at the beginning, and ties
// are broken in double. Immutable, so threads may share one.
class T5Tokenizer {
 public:
  static constexpr int32_t kPadId = 0, kEosId = 1;

  // `name` begins the messages about a model that does not fit.
  T5Tokenizer(const SentencePieceModel& model, std::string_view name);

  // The 32,000 pieces of google/t5-v1_1-xxl, which are part of the program; made at the first call.
  static const T5Tokenizer& builtin();
  static T5Tokenizer from_file(const fs::path& spiece_model);

  // Ids without EOS, not cut. Throws UserError where `text` is not UTF-8.
  std::vector<int32_t> encode(std::string_view text) const;
  // The text cut to length - 1 tokens, EOS, padding.
  TokenRow row(std::string_view text, int length) const;

 private:
  void encode_stretch(std::string_view text, std::vector<int32_t>& ids) const;

  Charsmap charsmap_;
  Unigram unigram_;
  AddedTokens added_tokens_;
};

}  // namespace difftune
