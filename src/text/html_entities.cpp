#include "text/html_entities.h"

#include <algorithm>
#include <optional>

#include "text/legacy_encodings.h"

namespace difftune {

namespace {

constexpr size_t kMaxNameLength = 24;  // longer names of HTML5 are left alone, as ftfy does

struct Entity {
  std::string_view name;
  char32_t text[3];  // ends at the first 0
};
constexpr Entity kEntities[] = {
#include "text/tables/html_entities.inc"
};

bool is_digit(char32_t c) { return c >= U'0' && c <= U'9'; }
bool is_hex_digit(char32_t c) { return is_digit(c) || (c >= U'a' && c <= U'f') || (c >= U'A' && c <= U'F'); }
bool is_alphanumeric(char32_t c) { return is_digit(c) || (c >= U'a' && c <= U'z') || (c >= U'A' && c <= U'Z'); }

// Code points that a numeric reference may not name; HTML says to drop them.
bool is_dropped(char32_t c) {
  return (c >= 0x1 && c <= 0x8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || (c >= 0xFDD0 && c <= 0xFDEF) ||
         (c & 0xFFFE) == 0xFFFE;
}

std::optional<std::u32string> named(std::u32string_view name) {
  const std::string ascii(name.begin(), name.end());
  const auto* found = std::lower_bound(std::begin(kEntities), std::end(kEntities), ascii,
                                       [](const Entity& entity, const std::string& n) { return entity.name < n; });
  if (found == std::end(kEntities) || found->name != ascii) return std::nullopt;
  return std::u32string(found->text, std::find(found->text, found->text + 3, U'\0'));
}

// `digits` is what stands between "&#" and ";". A reference to the semicolon itself stays, as in ftfy.
std::optional<std::u32string> numeric(std::u32string_view digits) {
  const bool hex = digits.starts_with(U'x') || digits.starts_with(U'X');
  if (hex) digits.remove_prefix(1);
  if (digits.empty() || !std::all_of(digits.begin(), digits.end(), hex ? is_hex_digit : is_digit)) return std::nullopt;
  uint64_t c = 0;
  for (const char32_t digit : digits) {
    c = c * (hex ? 16 : 10) + (is_digit(digit) ? digit - U'0' : (digit | 0x20) - U'a' + 10);
    c = std::min<uint64_t>(c, 0x110000);
  }
  if (c == U';') return std::nullopt;
  if (c == 0 || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) return U"\uFFFD";
  if (c >= 0x80 && c <= 0x9F) return std::u32string(1, decode_windows_1252(static_cast<uint8_t>(c)));
  if (is_dropped(static_cast<char32_t>(c))) return U"";
  return std::u32string(1, static_cast<char32_t>(c));
}

}  // namespace

std::u32string unescape_html(std::u32string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    if (text[at] != U'&') {
      out.push_back(text[at++]);
      continue;
    }
    const bool is_number = text.substr(at + 1).starts_with(U'#');
    const size_t first = at + 1 + is_number;
    size_t end = first;
    while (end < text.size() && end - first < kMaxNameLength && is_alphanumeric(text[end])) ++end;
    std::optional<std::u32string> replacement;
    if (end > first && end < text.size() && text[end] == U';') {
      const auto name = text.substr(first, end - first);
      replacement = is_number ? numeric(name) : named(name);
    }
    if (replacement) {
      out += *replacement;
      at = end + 1;
    } else {
      out.push_back(text[at++]);
    }
  }
  return out;
}

}  // namespace difftune
