#include "text/t5_tokenizer.h"

#include <algorithm>

#include "base/error.h"
#include "text/t5_table.h"
#include "text/unicode.h"

namespace difftune {

namespace {

using Piece = SentencePieceModel::Piece;

constexpr std::string_view kSpaceMark = "\u2581";
constexpr int kNumExtraIds = 100;

// <extra_id_99> to <extra_id_0> have the ids behind the pieces.
std::string extra_id(int number) { return "<extra_id_" + std::to_string(number) + ">"; }

std::vector<std::pair<std::string, double>> scored_pieces(const SentencePieceModel& model, std::string_view name) {
  if (model.algorithm != SentencePieceModel::Algorithm::unigram) {
    fail("{}: expected T5's tokenizer, a SentencePiece unigram model; got one of kind {}", name,
         static_cast<int>(model.algorithm));
  }
  if (model.pieces.size() <= T5Tokenizer::kEosId || model.pieces[T5Tokenizer::kEosId].text != "</s>") {
    fail("{}: expected T5's tokenizer, whose piece {} is </s>", name, T5Tokenizer::kEosId);
  }
  std::vector<std::pair<std::string, double>> pieces;
  pieces.reserve(model.pieces.size() + kNumExtraIds);
  for (const Piece& piece : model.pieces) pieces.emplace_back(piece.text, piece.score);
  for (int i = kNumExtraIds - 1; i >= 0; --i) pieces.emplace_back(extra_id(i), 0.0);
  return pieces;
}

std::vector<std::pair<std::string, int32_t>> added_tokens(const SentencePieceModel& model) {
  std::vector<std::pair<std::string, int32_t>> tokens;
  const auto num_pieces = static_cast<int32_t>(model.pieces.size());
  for (int32_t id = 0; id < num_pieces; ++id) {
    const Piece& piece = model.pieces[id];
    if (piece.text.empty() ||
        (piece.type != Piece::Type::control && piece.type != Piece::Type::user_defined && id != model.unknown_id)) {
      continue;
    }
    tokens.emplace_back(piece.text, id);
  }
  for (int i = 0; i < kNumExtraIds; ++i) tokens.emplace_back(extra_id(i), num_pieces + kNumExtraIds - 1 - i);
  return tokens;
}

// Cuts white space at the end and writes the other spaces as marks: one for each, and one for a run. Every stretch
// begins with a mark.
std::string mark_spaces(std::string_view text) {
  size_t end = 0;
  for (size_t at = 0; at < text.size();) {
    char32_t character = 0;
    at += std::max<size_t>(1, decode_utf8_character(text.substr(at), character));
    if (!is_unicode_space(character)) end = at;
  }
  if (end == 0) return {};
  std::string marked;
  marked.reserve(end + 16);
  for (size_t at = 0; at < end; ++at) {
    if (text[at] != ' ') {
      marked += text[at];
    } else if (at == 0 || text[at - 1] != ' ') {
      marked += kSpaceMark;
    }
  }
  if (!marked.starts_with(kSpaceMark)) marked.insert(0, kSpaceMark);
  return marked;
}

}  // namespace

T5Tokenizer::T5Tokenizer(const SentencePieceModel& model, std::string_view name)
    : charsmap_(model.charsmap, name),
      unigram_(scored_pieces(model, name), model.unknown_id),
      added_tokens_(added_tokens(model)) {}

const T5Tokenizer& T5Tokenizer::builtin() {
  static const T5Tokenizer tokenizer(parse_sentencepiece_model(unpack_t5_table(), "the built-in T5 tokenizer"),
                                     "the built-in T5 tokenizer");
  return tokenizer;
}

T5Tokenizer T5Tokenizer::from_file(const fs::path& spiece_model) {
  return {parse_sentencepiece_model(read_file(spiece_model), spiece_model.string()), spiece_model.string()};
}

void T5Tokenizer::encode_stretch(std::string_view text, std::vector<int32_t>& ids) const {
  const std::string marked = mark_spaces(charsmap_.apply(text));
  for (size_t begin = 0; begin < marked.size();) {
    const size_t end = std::min(marked.find(kSpaceMark, begin + kSpaceMark.size()), marked.size());
    unigram_.encode(std::string_view(marked).substr(begin, end - begin), ids);
    begin = end;
  }
}

std::vector<int32_t> T5Tokenizer::encode(std::string_view text) const {
  require_utf8(text);
  std::vector<int32_t> ids;
  added_tokens_.split(
      text, [&](std::string_view stretch) { encode_stretch(stretch, ids); }, [&](int32_t id) { ids.push_back(id); });
  return ids;
}

TokenRow T5Tokenizer::row(std::string_view text, int length) const {
  DT_CHECK(length > 0);
  TokenRow row{encode(text)};
  row.num_cut_tokens = std::max(0, static_cast<int>(row.ids.size()) - (length - 1));
  row.ids.resize(row.ids.size() - row.num_cut_tokens);
  row.ids.push_back(kEosId);
  row.mask.assign(row.ids.size(), 1);
  row.ids.resize(length, kPadId);
  row.mask.resize(length, 0);
  return row;
}

}  // namespace difftune
