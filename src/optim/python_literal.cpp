#include "optim/python_literal.h"

#include <fmt/ranges.h>

#include <cctype>
#include <charconv>

#include "base/error.h"
#include "base/python_format.h"

namespace difftune {
namespace {

constexpr int max_depth = 16;

// Recursive descent over Python's expression grammar, as far as ast.literal_eval goes for these options.
class Parser {
 public:
  Parser(std::string_view text, std::string_view context) : text_(text), context_(context) {}

  PythonLiteral whole() {
    PythonLiteral value = sequence_until('\0');
    if (position_ != text_.size()) bad();
    return value;
  }

 private:
  [[noreturn]] void bad() const {
    fail("{}: '{}' is not a Python value, expected e.g. 0.01, True, None, 'text' or 0.9,0.999", context_, text_);
  }
  void skip_spaces() {
    while (position_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[position_]))) ++position_;
  }
  char peek() {
    skip_spaces();
    return position_ < text_.size() ? text_[position_] : '\0';
  }
  bool accept(char c) {
    if (c == '\0' || peek() != c) return false;
    ++position_;
    return true;
  }

  // Up to `close` (not consumed): one value, or a tuple where a comma follows it.
  PythonLiteral sequence_until(char close) {
    PythonLiteral first = item();
    if (peek() != ',') return first;
    PythonLiteral::Sequence tuple{{std::move(first)}, false};
    while (accept(',') && peek() != close) tuple.items.push_back(item());
    return {std::move(tuple)};
  }

  PythonLiteral item() {
    if (++depth_ > max_depth) bad();
    PythonLiteral result = unnested_item();
    --depth_;
    return result;
  }

  PythonLiteral unnested_item() {
    const char c = peek();
    if (c == '(' || c == '[') return bracketed(c == '[');
    if (c == '\'' || c == '"') return {quoted()};
    if (std::isalpha(static_cast<unsigned char>(c))) return keyword();
    return number();
  }

  PythonLiteral bracketed(bool is_list) {
    const char close = is_list ? ']' : ')';
    ++position_;
    if (accept(close)) return {PythonLiteral::Sequence{{}, is_list}};
    PythonLiteral inner;
    if (is_list) {
      PythonLiteral::Sequence list{{item()}, true};
      while (accept(',') && peek() != close) list.items.push_back(item());
      inner.value = std::move(list);
    } else {
      inner = sequence_until(close);
    }
    if (!accept(close)) bad();
    return inner;
  }

  std::string quoted() {
    const char quote = text_[position_++];
    const size_t end = text_.find(quote, position_);
    const std::string_view content = text_.substr(position_, end - position_);
    if (end == std::string_view::npos || content.find('\\') != std::string_view::npos) bad();
    position_ = end + 1;
    return std::string(content);
  }

  PythonLiteral keyword() {
    const size_t start = position_;
    while (position_ < text_.size() && std::isalpha(static_cast<unsigned char>(text_[position_]))) ++position_;
    const std::string_view word = text_.substr(start, position_ - start);
    if (word == "True") return {true};
    if (word == "False") return {false};
    if (word == "None") return {PythonLiteral::None{}};
    bad();
  }

  PythonLiteral number() {
    bool negative = false;
    while (peek() == '-' || peek() == '+') negative ^= text_[position_++] == '-';
    skip_spaces();
    std::string digits;
    while (position_ < text_.size()) {
      const char c = text_[position_];
      const bool sign_of_exponent =
          (c == '-' || c == '+') && !digits.empty() && (digits.back() == 'e' || digits.back() == 'E');
      if (!std::isdigit(static_cast<unsigned char>(c)) && c != '.' && c != 'e' && c != 'E' && c != '_' &&
          !sign_of_exponent) {
        break;
      }
      if (c != '_') digits += c;
      ++position_;
    }
    const char* begin = digits.data();
    const char* end = begin + digits.size();
    const bool whole = digits.find_first_of(".eE") == std::string::npos;
    if (int64_t integer = 0; whole) {
      const auto [stop, error] = std::from_chars(begin, end, integer);
      if (error != std::errc() || stop != end) bad();
      return {negative ? -integer : integer};
    }
    double real = 0;
    const auto [stop, error] = std::from_chars(begin, end, real);
    if (error != std::errc() || stop != end) bad();
    return {negative ? -real : real};
  }

  std::string_view text_, context_;
  size_t position_ = 0;
  int depth_ = 0;
};

std::string repr(const PythonLiteral& literal) {
  const auto* text = std::get_if<std::string>(&literal.value);
  if (!text) return literal.str();
  const char quote = text->find('\'') != std::string::npos ? '"' : '\'';
  return quote + *text + quote;
}

}  // namespace

std::string PythonLiteral::str() const {
  if (std::holds_alternative<None>(value)) return "None";
  if (const auto* flag = std::get_if<bool>(&value)) return python_str(*flag);
  if (const auto* integer = std::get_if<int64_t>(&value)) return std::to_string(*integer);
  if (const auto* real = std::get_if<double>(&value)) return python_repr(*real);
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  const auto& sequence = std::get<Sequence>(value);
  std::vector<std::string> items;
  for (const PythonLiteral& item : sequence.items) items.push_back(repr(item));
  const std::string inner = fmt::format("{}", fmt::join(items, ", "));
  if (sequence.is_list) return "[" + inner + "]";
  return "(" + inner + (items.size() == 1 ? ",)" : ")");
}

PythonLiteral parse_python_literal(std::string_view text, std::string_view context) {
  return Parser(text, context).whole();
}

std::vector<NamedArg> parse_named_args(const std::vector<std::string>& texts, std::string_view option) {
  std::vector<NamedArg> args;
  for (const std::string& text : texts) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) fail("{}: '{}' is not of the form NAME=VALUE", option, text);
    std::string name = text.substr(0, equals);
    PythonLiteral value =
        parse_python_literal(std::string_view(text).substr(equals + 1), fmt::format("{}, argument '{}'", option, name));
    // As in a Python dict, a repeated name keeps its place and takes the last value.
    bool repeated = false;
    for (NamedArg& arg : args) {
      if (arg.name == name) arg.value = value, repeated = true;
    }
    if (!repeated) args.push_back({std::move(name), std::move(value)});
  }
  return args;
}

}  // namespace difftune
