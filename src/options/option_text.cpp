#include "options/option_text.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "base/nearest_name.h"

namespace difftune {
namespace {

template <typename... Args>
[[noreturn]] void refuse(std::string_view origin, fmt::format_string<Args...> format, Args&&... args) {
  throw UsageError(fmt::format("{}: {}", origin, fmt::format(format, std::forward<Args>(args)...)));
}

// Without surrounding white space and without the underscores that Python allows between digits; "" where one of them
// is somewhere else.
std::string plain_digits(std::string_view text) {
  const auto is_space = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  const auto is_digit = [&](size_t i) { return i < text.size() && text[i] >= '0' && text[i] <= '9'; };
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      out += text[i];
    } else if (i == 0 || !is_digit(i - 1) || !is_digit(i + 1)) {
      return "";
    }
  }
  if (!out.empty() && out[0] == '+' && out.size() > 1 && out[1] != '-') out.erase(0, 1);
  return out;
}

template <typename T>
std::optional<T> parse_whole_text(const std::string& text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string range_text(const OptionSpec& spec) {
  if (spec.minimum && spec.maximum) return fmt::format("from {} to {}", *spec.minimum, *spec.maximum);
  return spec.minimum ? fmt::format("{} or more", *spec.minimum) : fmt::format("at most {}", *spec.maximum);
}

void check_range(const OptionSpec& spec, double value, std::string_view origin) {
  if ((spec.minimum && value < *spec.minimum) || (spec.maximum && value > *spec.maximum)) {
    refuse(origin, "{} is out of range; it must be {}", display_text(Number(value)), range_text(spec));
  }
}

void check_choice(const OptionSpec& spec, const std::string& text, std::string_view origin) {
  if (spec.choices.empty() || std::find(spec.choices.begin(), spec.choices.end(), text) != spec.choices.end()) return;
  const std::string near = nearest_name(text, spec.choices);
  refuse(origin, "'{}' is not one of {}{}", text, fmt::join(spec.choices, ", "),
         near.empty() ? "" : fmt::format("; did you mean {}?", near));
}

double parse_float(const std::string& word, std::string_view origin) {
  const auto value = python_float(word);
  if (!value) refuse(origin, "'{}' is not a number", word);
  return *value;
}

int64_t parse_int(const OptionSpec& spec, const std::string& word, std::string_view origin) {
  const auto value = python_int(word);
  if (!value) refuse(origin, "'{}' is not a whole number", word);
  check_choice(spec, std::to_string(*value), origin);
  check_range(spec, static_cast<double>(*value), origin);
  return *value;
}

// A whole number from 1 on counts; below 1, or with a percent sign, it is a share.
Number parse_count_or_share(const std::string& word, std::string_view origin) {
  if (!word.empty() && word.back() == '%') {
    const auto percent = python_float(std::string_view(word).substr(0, word.size() - 1));
    if (!percent) refuse(origin, "'{}' is not a percentage", word);
    return *percent / 100.0;
  }
  const double value = parse_float(word, origin);
  if (value < 1) return value;
  const auto count = python_int(word);
  if (!count) refuse(origin, "'{}' is neither a whole number nor a share below 1", word);
  return *count;
}

OptionValue parse_toml_number(const OptionSpec& spec, double value, std::string_view origin) {
  if (spec.count_or_share && value > 1) {
    refuse(origin, "{} is a share of all steps because of its decimal point; write {} for steps, or a share up to 1.0",
           python_repr(value), static_cast<int64_t>(value));
  }
  check_range(spec, value, origin);
  return Number(value);
}

std::string toml_as_word(const TomlValue& value, std::string_view origin) {
  if (const auto* text = std::get_if<std::string>(&value.data)) return *text;
  if (const auto* number = std::get_if<int64_t>(&value.data)) return std::to_string(*number);
  if (const auto* number = std::get_if<double>(&value.data)) return python_repr(*number);
  refuse(origin, "expected a text or a number, got {}", value.type_name());
}

std::vector<std::string> toml_as_words(const TomlValue& value, std::string_view origin) {
  std::vector<std::string> words;
  if (const auto* array = std::get_if<TomlArray>(&value.data)) {
    for (const TomlValue& item : *array) words.push_back(toml_as_word(item, origin));
  } else {
    words.push_back(toml_as_word(value, origin));
    if (words[0].empty()) words.clear();
  }
  return words;
}

OptionValue parse_toml_flag(const TomlValue& value, std::string_view origin) {
  if (const auto* flag = std::get_if<bool>(&value.data)) return *flag;
  if (const auto* number = std::get_if<int64_t>(&value.data); number && (*number == 0 || *number == 1)) {
    return *number == 1;
  }
  refuse(origin, "expected true or false, got {}", value.type_name());
}

}  // namespace

std::optional<int64_t> python_int(std::string_view text) { return parse_whole_text<int64_t>(plain_digits(text)); }

std::optional<double> python_float(std::string_view text) {
  const auto value = parse_whole_text<double>(plain_digits(text));
  return value && std::isfinite(*value) ? value : std::nullopt;
}

OptionValue parse_word(const OptionSpec& spec, const std::string& word, std::string_view origin) {
  switch (spec.kind()) {
    case ValueKind::integer:
      return parse_int(spec, word, origin);
    case ValueKind::number: {
      const Number value = spec.count_or_share ? parse_count_or_share(word, origin) : Number(parse_float(word, origin));
      check_range(spec, value, origin);
      return value;
    }
    case ValueKind::text:
    case ValueKind::path:
      if (word.empty() && can_be_absent(spec.field)) return std::monostate{};
      check_choice(spec, word, origin);
      return word;
    case ValueKind::flag:
    case ValueKind::text_list:
    case ValueKind::number_list:
      break;
  }
  DT_CHECK(false, "--{} does not take one word", spec.name);
  return {};
}

OptionValue parse_words(const OptionSpec& spec, const std::vector<std::string>& words, std::string_view origin) {
  if (spec.kind() == ValueKind::text_list) return words;
  DT_CHECK(spec.kind() == ValueKind::number_list, "--{} does not take a list", spec.name);
  std::vector<double> numbers;
  for (const std::string& word : words) {
    numbers.push_back(parse_float(word, origin));
    check_range(spec, numbers.back(), origin);
  }
  return numbers;
}

OptionValue parse_toml(const OptionSpec& spec, const TomlValue& value, std::string_view origin) {
  const ValueKind kind = spec.kind();
  if (kind == ValueKind::flag) return parse_toml_flag(value, origin);
  if (kind == ValueKind::text_list || kind == ValueKind::number_list) {
    return parse_words(spec, toml_as_words(value, origin), origin);
  }
  if (spec.comma_list && std::holds_alternative<TomlArray>(value.data)) {
    return parse_word(spec, fmt::format("{}", fmt::join(toml_as_words(value, origin), ",")), origin);
  }
  if (kind == ValueKind::number) {
    if (const auto* number = std::get_if<double>(&value.data)) return parse_toml_number(spec, *number, origin);
    if (const auto* number = std::get_if<int64_t>(&value.data)) {
      check_range(spec, static_cast<double>(*number), origin);
      return Number(*number);
    }
  }
  if (const auto* number = std::get_if<double>(&value.data); number && kind == ValueKind::integer) {
    if (*number != std::floor(*number) || std::abs(*number) > 1e15) {
      refuse(origin, "expected a whole number, got {}", python_repr(*number));
    }
    return parse_int(spec, fmt::format("{:.0f}", *number), origin);
  }
  const std::string word = toml_as_word(value, origin);
  const bool means_default =
      std::find(spec.file_defaults.begin(), spec.file_defaults.end(), word) != spec.file_defaults.end();
  if (means_default || (word.empty() && std::holds_alternative<std::monostate>(spec.default_value))) {
    return spec.default_value;
  }
  return parse_word(spec, word, origin);
}

}  // namespace difftune
