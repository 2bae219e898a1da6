// The end of an error about an unknown name: what it may have meant and what there is.
#pragma once

#include <fmt/ranges.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/nearest_name.h"

namespace difftune {

inline std::string known_names_hint(std::string_view name, const std::vector<std::string>& known) {
  const std::string near = nearest_name(name, known);
  return fmt::format("{}, expected one of {}", near.empty() ? "" : fmt::format(" (did you mean '{}'?)", near),
                     fmt::join(known, ", "));
}

}  // namespace difftune
