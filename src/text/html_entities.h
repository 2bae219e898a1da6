// HTML character references, such as &eacute; and &#233;.
#pragma once

#include <string>
#include <string_view>

namespace difftune {

// Replaces the references that end in a semicolon, and names of common letters in capitals (&NTILDE;); the rest stays.
std::u32string unescape_html(std::u32string_view text);

}  // namespace difftune
