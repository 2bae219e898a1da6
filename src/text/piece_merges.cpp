#include "text/piece_merges.h"

#include <fmt/format.h>

#include <algorithm>
#include <queue>
#include <tuple>

#include "text/unicode.h"

namespace difftune {

// Two neighbours that may be joined; the greatest is joined first.
struct PieceMerges::Candidate {
  float score;
  int32_t left_characters, right_characters;
  int32_t id;  // of the piece that they make
  int32_t at;  // of the left one

  bool operator<(const Candidate& other) const {
    return std::tuple(score, left_characters, right_characters, other.id, other.at) <
           std::tuple(other.score, other.left_characters, other.right_characters, id, at);
  }
};

PieceMerges::PieceMerges(std::vector<Piece> pieces, int32_t unknown_id)
    : pieces_(std::move(pieces)), unknown_id_(unknown_id) {
  ids_.reserve(pieces_.size());
  for (size_t id = 0; id < pieces_.size(); ++id) {
    ids_[pieces_[id].text] = static_cast<int32_t>(id);
    longest_bytes_ = std::max(longest_bytes_, pieces_[id].text.size());
  }
  for (int byte = 0; byte < 256; ++byte) {
    const auto found = ids_.find(fmt::format("<0x{:02X}>", byte));
    byte_ids_[byte] = found == ids_.end() ? -1 : found->second;
  }
}

std::vector<PieceMerges::Symbol> PieceMerges::split(std::string_view text) const {
  std::vector<Symbol> symbols;
  symbols.reserve(text.size());
  const auto add = [&](int32_t id, size_t begin, size_t num_bytes, int32_t num_characters) {
    const auto at = static_cast<int32_t>(symbols.size());
    symbols.push_back({id, at - 1, at + 1, begin, num_bytes, num_characters});
  };
  for (size_t at = 0; at < text.size();) {
    char32_t character = 0;
    const size_t length = std::max<size_t>(1, decode_utf8_character(text.substr(at), character));
    const std::string_view bytes = text.substr(at, length);
    if (const auto found = ids_.find(bytes); found != ids_.end()) {
      add(found->second, at, length, 1);
    } else if (std::all_of(bytes.begin(), bytes.end(), [this](char c) { return byte_ids_[uint8_t(c)] >= 0; })) {
      // Marked with no characters: the text of a byte piece is not the byte, so it joins nothing.
      for (size_t i = 0; i < length; ++i) add(byte_ids_[uint8_t(bytes[i])], at + i, 1, 0);
    } else if (!symbols.empty() && symbols.back().id == unknown_id_) {
      symbols.back().num_bytes += length;
    } else {
      add(unknown_id_, at, length, 0);
    }
    at += length;
  }
  if (!symbols.empty()) symbols.back().next = -1;
  return symbols;
}

std::optional<PieceMerges::Candidate> PieceMerges::candidate(std::string_view text, const std::vector<Symbol>& symbols,
                                                             int32_t at) const {
  if (at < 0 || symbols[at].next < 0) return std::nullopt;
  const Symbol& left = symbols[at];
  const Symbol& right = symbols[left.next];
  const size_t num_bytes = left.num_bytes + right.num_bytes;
  if (left.num_characters == 0 || right.num_characters == 0 || num_bytes > longest_bytes_) return std::nullopt;
  const auto found = ids_.find(text.substr(left.begin, num_bytes));
  if (found == ids_.end()) return std::nullopt;
  return Candidate{pieces_[found->second].score, left.num_characters, right.num_characters, found->second, at};
}

void PieceMerges::encode(std::string_view text, std::vector<int32_t>& ids) const {
  std::vector<Symbol> symbols = split(text);
  std::priority_queue<Candidate> candidates;
  const auto offer = [&](int32_t at) {
    if (const auto found = candidate(text, symbols, at)) candidates.push(*found);
  };
  for (int32_t at = 0; at < static_cast<int32_t>(symbols.size()); ++at) offer(at);
  while (!candidates.empty()) {
    const Candidate best = candidates.top();
    candidates.pop();
    Symbol& left = symbols[best.at];
    if (left.num_bytes == 0) continue;
    // Since it was listed, another pair may have come to stand here; it counts where it makes the same piece.
    const auto now = candidate(text, symbols, best.at);
    if (!now || now->id != best.id) continue;
    Symbol& right = symbols[left.next];
    left.id = best.id;
    left.num_bytes += right.num_bytes;
    left.num_characters += right.num_characters;
    left.next = right.next;
    right.num_bytes = 0;
    if (left.next >= 0) symbols[left.next].previous = best.at;
    offer(left.previous);
    offer(best.at);
  }
  for (int32_t at = symbols.empty() ? -1 : 0; at >= 0; at = symbols[at].next) ids.push_back(symbols[at].id);
}

}  // namespace difftune
