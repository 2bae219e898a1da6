// Byte pair encoding with the pieces of a SentencePiece model: of all neighbours whose joined text is a piece, the pair
// that makes the piece of highest score is joined first. Characters without a piece become the pieces of their bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace difftune {

class PieceMerges {
 public:
  struct Piece {
    std::string text;
    float score;
  };

  // Pieces by id; those called <0x00> to <0xFF> stand for bytes.
  PieceMerges(std::vector<Piece> pieces, int32_t unknown_id);
  PieceMerges(PieceMerges&&) = default;  // ids_ looks into pieces_

  // Appends the ids of `text` (UTF-8). O(n log n). Where several pairs make pieces of one score, the longer left half
  // (in characters) goes first, then the longer right half, the lower id, the place on the left: the order in which
  // transformers 4.54 lists merges (generate_merges in convert_slow_tokenizer.py).
  void encode(std::string_view text, std::vector<int32_t>& ids) const;

 private:
  // A piece of the text; those that were joined to another have no bytes.
  struct Symbol {
    int32_t id, previous, next;
    size_t begin, num_bytes;
    int32_t num_characters;
  };
  struct Candidate;

  std::vector<Symbol> split(std::string_view text) const;
  std::optional<Candidate> candidate(std::string_view text, const std::vector<Symbol>& symbols, int32_t at) const;

  std::vector<Piece> pieces_;
  std::unordered_map<std::string_view, int32_t> ids_;
  int32_t unknown_id_;
  int32_t byte_ids_[256];  // -1 where the model has none
  size_t longest_bytes_ = 0;
};

}  // namespace difftune
