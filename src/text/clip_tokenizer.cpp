#include "text/clip_tokenizer.h"

#include <algorithm>
#include <utility>

#include "text/clip_table.h"
#include "text/clip_words.h"
#include "text/unicode.h"

namespace difftune {

namespace {

constexpr std::string_view kBos = "<|startoftext|>", kEos = "<|endoftext|>";
constexpr int32_t kExclamationMark = 0;  // the letter; as a word it is 256

std::vector<AddedToken> clip_special_tokens() {
  return {{std::string(kBos), kClipBosId}, {std::string(kEos), kClipEosId}};
}

std::u32string_view trim_left(std::u32string_view text) {
  while (!text.empty() && is_python_space(text.front())) text.remove_prefix(1);
  return text;
}

std::u32string_view trim_right(std::u32string_view text) {
  while (!text.empty() && is_python_space(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace

ClipTokenizer::ClipTokenizer(std::shared_ptr<const BytePairs> pairs, std::vector<AddedToken> added_tokens,
                             SpecialIds special_ids)
    : pairs_(std::move(pairs)), added_tokens_(std::move(added_tokens)), special_ids_(special_ids) {
  std::erase_if(added_tokens_, [](const AddedToken& token) { return token.text.empty(); });
  std::stable_sort(added_tokens_.begin(), added_tokens_.end(),
                   [](const AddedToken& a, const AddedToken& b) { return a.text.size() > b.text.size(); });
}

const ClipTokenizer& ClipTokenizer::builtin() {
  static const ClipTokenizer tokenizer(make_clip_byte_pairs(), clip_special_tokens(),
                                       {kClipBosId, kClipEosId, kClipEosId});
  return tokenizer;
}

const ClipTokenizer& ClipTokenizer::builtin_sd2() {
  static const ClipTokenizer tokenizer(builtin().pairs_, clip_special_tokens(),
                                       {kClipBosId, kClipEosId, kExclamationMark});
  return tokenizer;
}

const ClipTokenizer& ClipTokenizer::builtin_sd2_quirk() {
  static const ClipTokenizer tokenizer = [] {
    auto added_tokens = clip_special_tokens();
    added_tokens.push_back({"!", kExclamationMark});
    return ClipTokenizer(builtin().pairs_, std::move(added_tokens), {kClipBosId, kClipEosId, kExclamationMark});
  }();
  return tokenizer;
}

const AddedToken* ClipTokenizer::added_token_at(std::string_view text) const {
  for (const AddedToken& token : added_tokens_) {
    if (text.starts_with(token.text)) return &token;
  }
  return nullptr;
}

std::vector<int32_t> ClipTokenizer::encode(std::string_view utf8) const {
  std::vector<int32_t> ids;
  const AddedToken* before = nullptr;  // the added token that the current piece follows
  size_t piece_begin = 0;
  const auto encode_piece_until = [&](size_t end, const AddedToken* after) {
    const std::u32string text = decode_utf8(utf8.substr(piece_begin, end - piece_begin));
    std::u32string_view piece = text;
    if (before && before->strip_right) piece = trim_left(piece);
    if (after && after->strip_left) piece = trim_right(piece);
    encode_piece(piece, ids);
  };
  for (size_t at = 0; at < utf8.size();) {
    const AddedToken* token = added_token_at(utf8.substr(at));
    if (token == nullptr) {
      ++at;
      continue;
    }
    encode_piece_until(at, token);
    ids.push_back(token->id);
    at += token->text.size();
    piece_begin = at;
    before = token;
  }
  encode_piece_until(utf8.size(), nullptr);
  return ids;
}

void ClipTokenizer::encode_piece(std::u32string_view piece, std::vector<int32_t>& ids) const {
  for_each_clip_word(piece, [&](std::string_view word) {
    // Written in capitals they get here: lower-casing made them.
    const AddedToken* token = word == kBos || word == kEos ? added_token_at(word) : nullptr;
    if (token) {
      ids.push_back(token->id);
    } else {
      pairs_->encode(word, ids);
    }
  });
}

}  // namespace difftune
