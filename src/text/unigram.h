// The cut of a word into pieces whose scores have the greatest sum (Kudo 2018, arXiv:1804.10959).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace difftune {

class Unigram {
 public:
  // Pieces by id, each with its score. A character that no piece begins with is `unknown_id`.
  Unigram(std::vector<std::pair<std::string, double>> pieces, int32_t unknown_id);

  // Appends the ids of `word` (UTF-8); adjacent unknown characters are one id. Sums are in double and the first of
  // equal ones stays, as in tokenizers 0.21 (models/unigram/model.rs, encode_optimized).
  void encode(std::string_view word, std::vector<int32_t>& ids) const;

 private:
  template <typename Use>
  void for_each_piece_at(std::string_view text, const Use& use) const;

  std::vector<std::pair<std::string, double>> pieces_;
  std::vector<int32_t> sorted_;  // ids in the order of their bytes
  int32_t unknown_id_;
  double unknown_score_;
};

}  // namespace difftune
