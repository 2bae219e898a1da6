#include "text/byte_pairs.h"

#include <functional>
#include <queue>

#include "base/error.h"

namespace difftune {

namespace {

constexpr std::string_view kWordEnd = "</w>";

uint64_t pair_key(int32_t left, int32_t right) {
  return static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right);
}

}  // namespace

bool BytePairs::is_printable(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
}

std::string BytePairs::letter(uint8_t byte) {
  int code_point = byte;
  if (!is_printable(byte)) {
    code_point = 0x100;
    for (int other = 0; other < byte; ++other) code_point += !is_printable(other);
  }
  if (code_point < 0x80) return std::string(1, static_cast<char>(code_point));
  return {static_cast<char>(0xC0 | code_point >> 6), static_cast<char>(0x80 | (code_point & 0x3F))};
}

BytePairs::BytePairs(const std::vector<Merge>& merges, const std::unordered_map<std::string_view, int32_t>& ids) {
  const auto id_of = [&](std::string_view text) {
    const auto found = ids.find(text);
    if (found == ids.end()) fail("the vocabulary has no token '{}'; expected that of a CLIP tokenizer", text);
    return found->second;
  };
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text = letter(static_cast<uint8_t>(byte));
    letter_ids_[byte] = id_of(text);
    last_letter_ids_[byte] = id_of(text + std::string(kWordEnd));
  }
  rules_.reserve(merges.size());
  std::string merged;
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const auto [left, right] = merges[rank];
    const int32_t left_id = id_of(left), right_id = id_of(right);
    merged.assign(left).append(right);
    // A pair that is listed twice has its last rank, as in a Python dict.
    rules_[pair_key(left_id, right_id)] = {static_cast<int32_t>(rank), id_of(merged)};
  }
}

const BytePairs::Rule* BytePairs::rule(int32_t left, int32_t right) const {
  const auto found = rules_.find(pair_key(left, right));
  return found == rules_.end() ? nullptr : &found->second;
}

void BytePairs::encode(std::string_view word, std::vector<int32_t>& ids) const {
  const auto size = static_cast<int32_t>(word.size());
  std::vector<Piece> pieces(word.size());
  for (int32_t i = 0; i < size; ++i) {
    const auto byte = static_cast<uint8_t>(word[i]);
    const bool last = i + 1 == size;
    pieces[i] = {last ? last_letter_ids_[byte] : letter_ids_[byte], i - 1, last ? -1 : i + 1};
  }
  merge_all(pieces);
  for (int32_t at = 0; at >= 0; at = pieces[at].next) ids.push_back(pieces[at].id);
}

// All places of the pair of lowest rank are merged from left to right before the pairs that this makes are looked at.
void BytePairs::merge_all(std::vector<Piece>& pieces) const {
  using Candidate = std::pair<int32_t, int32_t>;  // rank, position of the left piece
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> candidates;
  const auto rule_at = [&](int32_t at) -> const Rule* {
    if (at < 0 || pieces[at].id < 0 || pieces[at].next < 0) return nullptr;
    return rule(pieces[at].id, pieces[pieces[at].next].id);
  };
  for (int32_t i = 0; i < static_cast<int32_t>(pieces.size()); ++i) {
    if (const Rule* found = rule_at(i)) candidates.emplace(found->rank, i);
  }
  std::vector<int32_t> changed;
  while (!candidates.empty()) {
    const int32_t rank = candidates.top().first;
    changed.clear();
    while (!candidates.empty() && candidates.top().first == rank) {
      const int32_t at = candidates.top().second;
      candidates.pop();
      const Rule* found = rule_at(at);
      if (found == nullptr || found->rank != rank) continue;
      const int32_t gone = pieces[at].next;
      pieces[at].id = found->merged;
      pieces[at].next = pieces[gone].next;
      pieces[gone].id = -1;
      if (pieces[at].next >= 0) pieces[pieces[at].next].previous = at;
      changed.push_back(at);
    }
    for (const int32_t at : changed) {
      if (const Rule* found = rule_at(at)) candidates.emplace(found->rank, at);
      const int32_t previous = pieces[at].previous;
      if (const Rule* found = rule_at(previous)) candidates.emplace(found->rank, previous);
    }
  }
}

}  // namespace difftune
