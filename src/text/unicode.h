// Text as code points, and the few properties of them that reading a prompt needs.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace difftune {

// Code points of UTF-8. Lone surrogates in their three-byte form are kept, as a Python str can hold them. Throws
// UserError with the position of the first byte that is not UTF-8.
std::u32string decode_utf8(std::string_view utf8);
// Decodes the first character of `utf8` (not empty) likewise. Its length in bytes, or 0 where it is not UTF-8.
size_t decode_utf8_character(std::string_view utf8, char32_t& character);
std::string encode_utf8(std::u32string_view text);
void append_utf8(char32_t code_point, std::string& out);

// White space of Python's str.isspace; the ASCII separators 1C to 1F count.
bool is_python_space(char32_t c);
// White space of the Unicode property; 1C to 1F do not count.
bool is_unicode_space(char32_t c);
// Letter, digit, other number or "_": \w of Python's re.
bool is_word_character(char32_t c);
// The value of a decimal digit of any script, or -1.
int decimal_digit(char32_t c);

// Unicode normalization forms, of text without lone surrogates.
std::u32string normalize_nfc(std::u32string_view text);
std::u32string normalize_nfkc(std::u32string_view text);
// Full lower-casing without a locale, as str.lower(): final sigma, "İ" to two characters.
std::u32string to_lower(std::u32string_view text);

}  // namespace difftune
