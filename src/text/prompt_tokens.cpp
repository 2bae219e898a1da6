#include "text/prompt_tokens.h"

#include <algorithm>
#include <span>

#include "base/error.h"
#include "text/prompt_weights.h"

namespace difftune {

namespace {

constexpr int kTokensPerChunk = kClipChunkLength - 2;

struct Tokens {
  std::vector<int32_t> ids;
  std::vector<float> weights;
  int num_cut = 0;
};

void cut(Tokens& tokens, int max_tokens) {
  tokens.num_cut = std::max(0, static_cast<int>(tokens.ids.size()) - max_tokens);
  if (tokens.num_cut == 0) return;
  tokens.ids.resize(max_tokens);
  if (!tokens.weights.empty()) tokens.weights.resize(max_tokens);
}

Tokens plain_tokens(const ClipTokenizer& tokenizer, std::string_view text, int max_tokens) {
  Tokens tokens{tokenizer.encode(text), {}, 0};
  cut(tokens, max_tokens);
  return tokens;
}

Tokens weighted_tokens(const ClipTokenizer& tokenizer, std::string_view text, int max_tokens) {
  Tokens tokens;
  for (const auto& [part, weight] : parse_prompt_weights(text)) {
    const auto ids = tokenizer.encode(part);
    tokens.ids.insert(tokens.ids.end(), ids.begin(), ids.end());
    tokens.weights.resize(tokens.ids.size(), static_cast<float>(weight));
  }
  cut(tokens, max_tokens);
  return tokens;
}

void place_weights(const std::vector<float>& weights, PromptTokens& tokens) {
  tokens.weights.assign(tokens.ids.size(), 1.0f);
  for (size_t i = 0; i < weights.size(); ++i) {
    tokens.weights[i / kTokensPerChunk * kClipChunkLength + 1 + i % kTokensPerChunk] = weights[i];
  }
}

// BOS, the tokens, EOS, and `fill` up to num_chunks * 75 + 2 ids.
std::vector<int32_t> make_line(const ClipTokenizer& tokenizer, const Tokens& tokens, int num_chunks, int32_t fill) {
  std::vector<int32_t> line{tokenizer.bos_id()};
  line.insert(line.end(), tokens.ids.begin(), tokens.ids.end());
  line.push_back(tokenizer.eos_id());
  line.resize(num_chunks * kTokensPerChunk + 2, fill);
  return line;
}

// Cuts a line into rows of BOS, 75 ids and the id that `last(row)` gives, which sees the id behind the 75 in its place.
template <typename Last>
PromptTokens make_rows(const ClipTokenizer& tokenizer, const std::vector<int32_t>& line, int32_t pad_id, Last last) {
  PromptTokens result;
  result.num_chunks = static_cast<int>(line.size() / kTokensPerChunk);
  for (int chunk = 0; chunk < result.num_chunks; ++chunk) {
    const auto first = line.begin() + chunk * kTokensPerChunk;
    result.ids.insert(result.ids.end(), first, first + kClipChunkLength);
    const std::span<int32_t, kClipChunkLength> row(result.ids.end() - kClipChunkLength, kClipChunkLength);
    row.front() = line.front();
    row.back() = last(row);
    const bool is_padding = result.num_chunks > 1 && pad_id != tokenizer.eos_id() && row[1] == pad_id;
    if (is_padding) row[1] = tokenizer.eos_id();
  }
  return result;
}

PromptTokens training_rows(const ClipTokenizer& tokenizer, const Tokens& tokens, int num_chunks, int32_t pad_id) {
  const int32_t eos = tokenizer.eos_id();
  const auto line = make_line(tokenizer, tokens, num_chunks, pad_id);
  PromptTokens result = make_rows(tokenizer, line, pad_id, [&](std::span<const int32_t> row) {
    const int32_t before = row[kClipChunkLength - 2];
    const bool ends_on_word = before != eos && before != pad_id;
    return num_chunks > 1 && ends_on_word ? eos : line.back();
  });
  result.num_cut_tokens = tokens.num_cut;
  return result;
}

PromptTokens sample_rows(const ClipTokenizer& tokenizer, const Tokens& tokens, int num_chunks, int32_t pad_id) {
  const int32_t eos = tokenizer.eos_id();
  const auto line = make_line(tokenizer, tokens, num_chunks, eos);
  // A word whose id is the padding's stays where it begins the next row: the reference takes it for padding.
  PromptTokens result = make_rows(tokenizer, line, pad_id,
                                  [&](std::span<const int32_t> row) { return row.back() == pad_id ? pad_id : eos; });
  result.num_cut_tokens = tokens.num_cut;
  place_weights(tokens.weights, result);
  return result;
}

int chunks_of(int max_token_length) {
  DT_CHECK(max_token_length > 0 && max_token_length % kTokensPerChunk == 0, "max_token_length {}", max_token_length);
  return max_token_length / kTokensPerChunk;
}

}  // namespace

PromptTokens tokenize_prompt(const ClipTokenizer& tokenizer, std::string_view caption, int max_token_length,
                             int32_t pad_id) {
  const int num_chunks = chunks_of(max_token_length);
  return training_rows(tokenizer, plain_tokens(tokenizer, caption, max_token_length), num_chunks, pad_id);
}

PromptTokens tokenize_weighted_prompt(const ClipTokenizer& tokenizer, std::string_view caption, int max_token_length,
                                      int32_t pad_id) {
  const int num_chunks = chunks_of(max_token_length);
  const Tokens tokens = weighted_tokens(tokenizer, caption, max_token_length);
  PromptTokens result = training_rows(tokenizer, tokens, num_chunks, pad_id);
  place_weights(tokens.weights, result);
  return result;
}

SamplePromptTokens tokenize_sample_prompt(const ClipTokenizer& tokenizer, std::string_view prompt,
                                          std::optional<std::string_view> negative, int32_t pad_id, int max_chunks) {
  DT_CHECK(max_chunks > 0);
  const int max_tokens = max_chunks * kTokensPerChunk;
  const Tokens positive = weighted_tokens(tokenizer, prompt, max_tokens);
  const Tokens other = negative ? weighted_tokens(tokenizer, *negative, max_tokens) : Tokens{};
  const auto longest = static_cast<int>(std::max(positive.ids.size(), other.ids.size()));
  const int num_chunks = std::max(1, (longest + kTokensPerChunk - 1) / kTokensPerChunk);
  SamplePromptTokens result{sample_rows(tokenizer, positive, num_chunks, pad_id), std::nullopt};
  if (negative) result.negative = sample_rows(tokenizer, other, num_chunks, pad_id);
  return result;
}

}  // namespace difftune
