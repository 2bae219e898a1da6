#include "text/charsmap.h"

#include <unicode/brkiter.h>
#include <unicode/utext.h>

#include <cstring>
#include <memory>

#include "base/error.h"
#include "text/unicode.h"

namespace difftune {

namespace {

// The fields of a unit of darts-clone (s-yata/darts-clone, include/darts.h).
bool has_leaf(uint32_t unit) { return (unit >> 8 & 1) == 1; }
uint32_t value(uint32_t unit) { return unit & 0x7FFFFFFF; }
uint32_t label(uint32_t unit) { return unit & 0x800000FF; }
uint32_t offset(uint32_t unit) { return unit >> 10 << ((unit & 0x200) >> 6); }

size_t character_length(std::string_view utf8) {
  char32_t character = 0;
  return decode_utf8_character(utf8, character);
}

// Calls use(cluster) for each extended grapheme cluster of `utf8`.
template <typename Use>
void for_each_cluster(std::string_view utf8, const Use& use) {
  UErrorCode status = U_ZERO_ERROR;
  const std::unique_ptr<icu::BreakIterator> clusters(
      icu::BreakIterator::createCharacterInstance(icu::Locale::getRoot(), status));
  UText text = UTEXT_INITIALIZER;
  utext_openUTF8(&text, utf8.data(), static_cast<int64_t>(utf8.size()), &status);
  if (U_SUCCESS(status)) clusters->setText(&text, status);
  DT_CHECK(U_SUCCESS(status), "ICU: {}", u_errorName(status));
  int32_t begin = clusters->first();
  for (int32_t end = clusters->next(); end != icu::BreakIterator::DONE; begin = end, end = clusters->next()) {
    use(utf8.substr(begin, end - begin));
  }
  utext_close(&text);
}

}  // namespace

Charsmap::Charsmap(std::string_view blob, std::string_view name) {
  if (blob.empty()) return;
  uint32_t trie_bytes = 0;
  if (blob.size() >= sizeof trie_bytes) std::memcpy(&trie_bytes, blob.data(), sizeof trie_bytes);
  blob.remove_prefix(std::min(blob.size(), sizeof trie_bytes));
  if (trie_bytes == 0 || trie_bytes % 4 != 0 || trie_bytes > blob.size()) {
    fail("{}: its table of replaced characters is damaged; copy the file again", name);
  }
  units_.resize(trie_bytes / 4);
  std::memcpy(units_.data(), blob.data(), trie_bytes);
  texts_ = blob.substr(trie_bytes);
}

// The text that the shortest beginning of `text` in the trie stands for.
std::optional<std::string_view> Charsmap::replacement(std::string_view text) const {
  size_t node = offset(units_[0]);
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    node ^= byte;
    if (byte == 0 || node >= units_.size() || label(units_[node]) != byte) return std::nullopt;
    const uint32_t unit = units_[node];
    node ^= offset(unit);
    if (!has_leaf(unit)) continue;
    if (node >= units_.size() || value(units_[node]) >= texts_.size()) return std::nullopt;
    return std::string_view(texts_.c_str() + value(units_[node]));
  }
  return std::nullopt;
}

std::string Charsmap::apply(std::string_view utf8) const {
  if (units_.empty()) return std::string(utf8);
  constexpr size_t kLongestWhole = 5;
  std::string result;
  result.reserve(utf8.size());
  for_each_cluster(utf8, [&](std::string_view cluster) {
    if (cluster.size() <= kLongestWhole) {
      if (const auto whole = replacement(cluster)) {
        result += *whole;
        return;
      }
    }
    while (!cluster.empty()) {
      const std::string_view character = cluster.substr(0, character_length(cluster));
      result += replacement(character).value_or(character);
      cluster.remove_prefix(character.size());
    }
  });
  return result;
}

}  // namespace difftune
