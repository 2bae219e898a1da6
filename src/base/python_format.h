// Values as Python prints them: the text of metadata that other programs parse.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace difftune {

// repr(float): the shortest text that reads back the same, with ".0" on whole numbers and an exponent from 1e16.
std::string python_repr(double value);
// "True" or "False".
inline std::string python_str(bool value) { return value ? "True" : "False"; }
// The string as json.dumps writes it: quoted, everything outside ASCII as \uXXXX.
std::string json_quote(std::string_view utf8);

}  // namespace difftune
