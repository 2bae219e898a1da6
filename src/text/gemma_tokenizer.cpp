#include "text/gemma_tokenizer.h"

#include <algorithm>

#include "base/error.h"

namespace difftune {

namespace {

using Piece = SentencePieceModel::Piece;

constexpr std::string_view kSpaceMark = "\u2581";

// The first three pieces are marks whatever their score; files of the first Gemma lack the tab, which then takes the
// place of its byte.
std::vector<PieceMerges::Piece> scored_pieces(const SentencePieceModel& model, std::string_view name) {
  const std::string_view expected[] = {"<pad>", "<eos>", "<bos>", "<unk>"};
  for (size_t id = 0; id < std::size(expected); ++id) {
    if (id < model.pieces.size() && model.pieces[id].text == expected[id]) continue;
    fail("{}: expected Gemma's tokenizer, whose piece {} is {}", name, id, expected[id]);
  }
  if (model.algorithm != SentencePieceModel::Algorithm::byte_pairs) {
    fail("{}: expected Gemma's tokenizer, a SentencePiece model of byte pairs; got one of kind {}", name,
         static_cast<int>(model.algorithm));
  }
  std::vector<PieceMerges::Piece> pieces;
  pieces.reserve(model.pieces.size());
  for (const Piece& piece : model.pieces) pieces.push_back({piece.text, piece.score});
  for (int32_t id : {GemmaTokenizer::kPadId, GemmaTokenizer::kEosId, GemmaTokenizer::kBosId}) pieces[id].score = 0;
  const auto find = [&](std::string_view text) {
    return std::find_if(pieces.begin(), pieces.end(), [text](const auto& piece) { return piece.text == text; });
  };
  if (find("\t") == pieces.end()) {
    if (const auto byte = find("<0x09>"); byte != pieces.end()) *byte = {"\t", 0};
  }
  return pieces;
}

std::vector<std::pair<std::string, int32_t>> added_tokens(const SentencePieceModel& model) {
  std::vector<std::pair<std::string, int32_t>> tokens;
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    const Piece& piece = model.pieces[id];
    if (piece.text.empty()) continue;
    if (piece.type == Piece::Type::control || piece.type == Piece::Type::user_defined ||
        id == static_cast<size_t>(GemmaTokenizer::kUnknownId)) {
      tokens.emplace_back(piece.text, static_cast<int32_t>(id));
    }
  }
  return tokens;
}

std::string mark_spaces(std::string_view text) {
  std::string marked;
  marked.reserve(text.size() + text.size() / 2);
  for (const char c : text) {
    if (c == ' ') {
      marked += kSpaceMark;
    } else {
      marked += c;
    }
  }
  return marked;
}

}  // namespace

GemmaTokenizer::GemmaTokenizer(const SentencePieceModel& model, std::string_view name)
    : merges_(scored_pieces(model, name), kUnknownId), added_tokens_(added_tokens(model)) {}

GemmaTokenizer GemmaTokenizer::from_file(const fs::path& tokenizer_model) {
  return {parse_sentencepiece_model(read_file(tokenizer_model), tokenizer_model.string()), tokenizer_model.string()};
}

std::vector<int32_t> GemmaTokenizer::encode(std::string_view text) const {
  require_utf8(text);
  std::vector<int32_t> ids;
  added_tokens_.split(
      text, [&](std::string_view stretch) { merges_.encode(mark_spaces(stretch), ids); },
      [&](int32_t id) { ids.push_back(id); });
  return ids;
}

TokenRow GemmaTokenizer::row(std::string_view text, int length) const {
  DT_CHECK(length > 0);
  const std::vector<int32_t> ids = encode(text);
  const auto num_kept = std::min(ids.size(), static_cast<size_t>(length - 1));
  TokenRow row{{kBosId}};
  row.ids.insert(row.ids.end(), ids.begin(), ids.begin() + static_cast<ptrdiff_t>(num_kept));
  row.num_cut_tokens = static_cast<int>(ids.size() - num_kept);
  row.mask.assign(row.ids.size(), 1);
  row.ids.resize(length, kPadId);
  row.mask.resize(length, 0);
  return row;
}

}  // namespace difftune
