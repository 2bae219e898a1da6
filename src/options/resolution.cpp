#include "options/resolution.h"

#include <fmt/format.h>

#include "base/error.h"
#include "options/option_text.h"

namespace difftune {

Resolution parse_resolution(std::string_view text) {
  const size_t comma = text.find(',');
  const auto width = python_int(text.substr(0, comma));
  const auto height = comma == std::string_view::npos ? width : python_int(text.substr(comma + 1));
  if (!width || !height || *width < 1 || *height < 1) {
    throw UsageError(
        fmt::format("--resolution: '{}' is neither a size such as 512 nor a width and height such as 512,768", text));
  }
  return {*width, *height};
}

}  // namespace difftune
