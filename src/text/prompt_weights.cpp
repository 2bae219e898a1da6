#include "text/prompt_weights.h"

#include <charconv>
#include <optional>

#include "base/error.h"
#include "text/unicode.h"

namespace difftune {

namespace {

constexpr double kRound = 1.1, kSquare = 1 / 1.1;
constexpr std::u32string_view kSyntax = U"\\()[]:";

// A weight as it stands behind the colon, digits of any script made ASCII.
struct WeightText {
  std::string ascii;
  size_t length = 0;  // from the colon to the bracket, both included
};

// ":1.3)" at the start of `text`, where there is one.
std::optional<WeightText> match_weight(std::u32string_view text) {
  WeightText weight;
  size_t at = 1;
  if (at < text.size() && (text[at] == U'+' || text[at] == U'-')) weight.ascii.push_back(static_cast<char>(text[at++]));
  const size_t first_digit = at;
  for (; at < text.size(); ++at) {
    const int digit = decimal_digit(text[at]);
    if (digit < 0 && text[at] != U'.') break;
    weight.ascii.push_back(digit < 0 ? '.' : static_cast<char>('0' + digit));
  }
  if (at == first_digit || at >= text.size() || text[at] != U')') return std::nullopt;
  weight.length = at + 1;
  return weight;
}

double parse_weight(const std::string& text, std::string_view prompt) {
  const char* begin = text.c_str() + (text[0] == '+');
  const char* end = text.c_str() + text.size();
  double weight = 0;
  const auto [last, error] = std::from_chars(begin, end, weight, std::chars_format::fixed);
  if (error != std::errc() || last != end) {
    fail("the weight '{}' in prompt '{}' is not a number in range; write for example (word:1.3)", text, prompt);
  }
  return weight;
}

class Parser {
 public:
  explicit Parser(std::string_view prompt) : prompt_(prompt), text_(decode_utf8(prompt)) {}

  std::vector<WeightedText> parse() {
    for (size_t at = 0; at < text_.size();) at += step(std::u32string_view(text_).substr(at));
    for (const size_t first : round_) multiply_from(first, kRound);
    for (const size_t first : square_) multiply_from(first, kSquare);
    if (parts_.empty()) add({});
    return merged();
  }

 private:
  // Takes one element of the syntax or a run of ordinary text; returns its length.
  size_t step(std::u32string_view text) {
    const char32_t c = text[0];
    if (c == U'\\') {
      const bool escapes = text.size() > 1 && kSyntax.substr(0, 5).find(text[1]) != kSyntax.npos;
      add(escapes ? text.substr(1, 1) : std::u32string_view());
      return escapes ? 2 : 1;
    }
    if (c == U'(') return round_.push_back(parts_.size()), 1;
    if (c == U'[') return square_.push_back(parts_.size()), 1;
    if (c == U':') {
      const auto weight = match_weight(text);
      if (weight && !round_.empty()) {
        close(round_, parse_weight(weight->ascii, prompt_));
      } else {
        add(text.substr(0, weight ? weight->length : 1));
      }
      return weight ? weight->length : 1;
    }
    if (c == U')' && !round_.empty()) return close(round_, kRound), 1;
    if (c == U']' && !square_.empty()) return close(square_, kSquare), 1;
    const size_t length = kSyntax.find(c) != kSyntax.npos ? 1 : text.substr(0, text.find_first_of(kSyntax)).size();
    add(text.substr(0, length));
    return length;
  }

  void add(std::u32string_view text) { parts_.push_back({encode_utf8(text), 1.0}); }

  void close(std::vector<size_t>& brackets, double factor) {
    const size_t first = brackets.back();
    brackets.pop_back();
    multiply_from(first, factor);
  }

  void multiply_from(size_t first, double factor) {
    for (size_t i = first; i < parts_.size(); ++i) parts_[i].weight *= factor;
  }

  // Neighbours of one weight joined, so that words are not split at a bracket that changes nothing.
  std::vector<WeightedText> merged() {
    std::vector<WeightedText> result;
    for (WeightedText& part : parts_) {
      if (!result.empty() && result.back().weight == part.weight) {
        result.back().text += part.text;
      } else {
        result.push_back(std::move(part));
      }
    }
    return result;
  }

  std::string_view prompt_;
  std::u32string text_;
  std::vector<WeightedText> parts_;
  std::vector<size_t> round_, square_;  // open brackets: the parts that they begin at
};

}  // namespace

std::vector<WeightedText> parse_prompt_weights(std::string_view prompt) { return Parser(prompt).parse(); }

}  // namespace difftune
