// Text operations with Python's meaning, on UTF-8.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace difftune {

// str.strip(): without the Unicode white space at both ends.
std::string_view python_strip(std::string_view utf8);
// str.split(separator): always at least one part. The separator must not be empty.
std::vector<std::string> split(std::string_view text, std::string_view separator);
// str.replace(from, to).
std::string replace_all(std::string_view text, std::string_view from, std::string_view to);
std::string join(const std::vector<std::string>& parts, std::string_view separator);
// str.lower().
std::string python_lower(std::string_view utf8);

// The position of the first byte that is not UTF-8, or npos.
size_t find_invalid_utf8(std::string_view text);

}  // namespace difftune
