// Byte pair encoding over the bytes of a word, with the end of the word marked (Sennrich et al. 2016, as in CLIP).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace difftune {

class BytePairs {
 public:
  using Merge = std::pair<std::string_view, std::string_view>;

  // `merges` in order of rank and the id of every token, both in CLIP's alphabet (each byte as one printable character,
  // "</w>" behind the last of a word). Throws UserError where a letter or what a merge makes has no id. The views need
  // not outlive the call.
  BytePairs(const std::vector<Merge>& merges, const std::unordered_map<std::string_view, int32_t>& ids);

  // Appends the ids of one word (any bytes, at least one). O(n log n).
  void encode(std::string_view word, std::vector<int32_t>& ids) const;

  // The character, in UTF-8, that stands for `byte` in CLIP's alphabet.
  static std::string letter(uint8_t byte);
  // Whether that is the byte's own character in Latin-1; the others have the characters from U+0100 on, in order.
  static bool is_printable(int byte);

 private:
  struct Rule {
    int32_t rank, merged;
  };
  // A position in the word; those that were merged into another are linked out and have id -1.
  struct Piece {
    int32_t id, previous, next;
  };
  const Rule* rule(int32_t left, int32_t right) const;
  void merge_all(std::vector<Piece>& pieces) const;

  std::unordered_map<uint64_t, Rule> rules_;  // by left id << 32 | right id
  int32_t letter_ids_[256], last_letter_ids_[256];
};

}  // namespace difftune
