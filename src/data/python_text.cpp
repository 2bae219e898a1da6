#include "data/python_text.h"

#include "base/error.h"
#include "text/unicode.h"

namespace difftune {

std::string_view python_strip(std::string_view utf8) {
  char32_t c;
  while (!utf8.empty()) {
    const size_t length = decode_utf8_character(utf8, c);
    if (length == 0 || !is_python_space(c)) break;
    utf8.remove_prefix(length);
  }
  while (!utf8.empty()) {
    size_t start = utf8.size() - 1;
    while (start > 0 && (utf8[start] & 0xc0) == 0x80) --start;
    if (decode_utf8_character(utf8.substr(start), c) == 0 || !is_python_space(c)) break;
    utf8 = utf8.substr(0, start);
  }
  return utf8;
}

std::vector<std::string> split(std::string_view text, std::string_view separator) {
  DT_CHECK(!separator.empty());
  std::vector<std::string> parts;
  size_t begin = 0;
  for (size_t at; (at = text.find(separator, begin)) != std::string_view::npos; begin = at + separator.size()) {
    parts.emplace_back(text.substr(begin, at - begin));
  }
  parts.emplace_back(text.substr(begin));
  return parts;
}

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  return join(split(text, from), to);
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  return fmt::format("{}", fmt::join(parts, separator));
}

std::string python_lower(std::string_view utf8) { return encode_utf8(to_lower(decode_utf8(utf8))); }

size_t find_invalid_utf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    char32_t c;
    const size_t length = decode_utf8_character(text.substr(at), c);
    if (length == 0) return at;
    at += length;
  }
  return std::string_view::npos;
}

}  // namespace difftune
