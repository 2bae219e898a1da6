// The contents of a SentencePiece model file (spiece.model, tokenizer.model): pieces with scores, and the rules that
// mend text before it is cut. Format: google/sentencepiece src/sentencepiece_model.proto.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace difftune {

struct SentencePieceModel {
  enum class Algorithm { unigram = 1, byte_pairs = 2, word = 3, character = 4 };

  struct Piece {
    enum class Type { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };
    std::string text;  // UTF-8; U+2581 stands for a space
    float score = 0;
    Type type = Type::normal;
  };

  std::vector<Piece> pieces;  // by id
  Algorithm algorithm = Algorithm::unigram;
  int32_t unknown_id = 0;
  std::string charsmap;  // text/charsmap.h; empty where text is taken as it is
};

// Throws UserError that begins with `name` where `bytes` are not such a file.
SentencePieceModel parse_sentencepiece_model(std::string_view bytes, std::string_view name);

}  // namespace difftune
