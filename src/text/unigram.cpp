#include "text/unigram.h"

#include <algorithm>
#include <limits>

#include "text/unicode.h"

namespace difftune {

namespace {

constexpr double kUnknownPenalty = 10;

}  // namespace

Unigram::Unigram(std::vector<std::pair<std::string, double>> pieces, int32_t unknown_id)
    : pieces_(std::move(pieces)), unknown_id_(unknown_id), unknown_score_(std::numeric_limits<double>::infinity()) {
  sorted_.resize(pieces_.size());
  for (size_t id = 0; id < pieces_.size(); ++id) {
    sorted_[id] = static_cast<int32_t>(id);
    unknown_score_ = std::min(unknown_score_, pieces_[id].second - kUnknownPenalty);
  }
  std::sort(sorted_.begin(), sorted_.end(),
            [this](int32_t a, int32_t b) { return pieces_[a].first < pieces_[b].first; });
}

// Calls use(id, length) for each piece that `text` begins with, shortest first: the range of sorted pieces with the
// same beginning is narrowed byte by byte.
template <typename Use>
void Unigram::for_each_piece_at(std::string_view text, const Use& use) const {
  auto begin = sorted_.begin(), end = sorted_.end();
  for (size_t depth = 0; depth < text.size() && begin != end; ++depth) {
    const auto byte = static_cast<uint8_t>(text[depth]);
    const auto byte_of = [&](int32_t id) { return static_cast<uint8_t>(pieces_[id].first[depth]); };
    begin = std::partition_point(begin, end, [&](int32_t id) { return byte_of(id) < byte; });
    end = std::partition_point(begin, end, [&](int32_t id) { return byte_of(id) <= byte; });
    if (begin == end || pieces_[*begin].first.size() != depth + 1) continue;
    use(*begin, depth + 1);
    ++begin;
  }
}

void Unigram::encode(std::string_view word, std::vector<int32_t>& ids) const {
  struct Best {
    double score = 0;
    size_t begin = 0;  // of the last piece
    int32_t id = -1;   // of the last piece; -1 where no path ends here
  };
  std::vector<Best> best(word.size() + 1);
  const auto offer = [&](size_t begin, size_t length, int32_t id, double score) {
    Best& end = best[begin + length];
    score += best[begin].score;
    if (end.id < 0 || score > end.score) end = {score, begin, id};
  };
  for (size_t at = 0; at < word.size();) {
    char32_t character = 0;
    const size_t length = std::max<size_t>(1, decode_utf8_character(word.substr(at), character));
    bool is_known = false;
    for_each_piece_at(word.substr(at), [&](int32_t id, size_t piece_length) {
      offer(at, piece_length, id, pieces_[id].second);
      is_known |= piece_length == length;
    });
    if (!is_known) offer(at, length, unknown_id_, unknown_score_);
    at += length;
  }
  const auto first = static_cast<ptrdiff_t>(ids.size());
  for (size_t end = word.size(); end > 0; end = best[end].begin) {
    const bool continues_unknown = best[end].id == unknown_id_ && end < word.size() && ids.back() == unknown_id_;
    if (!continues_unknown) ids.push_back(best[end].id);
  }
  std::reverse(ids.begin() + first, ids.end());
}

}  // namespace difftune
