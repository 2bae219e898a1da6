// "Did you mean": the nearest known name to a misspelled one.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace difftune {

// The candidate with the smallest edit distance to `name`, or "" where none is near (more than a third of it differs).
std::string nearest_name(std::string_view name, std::span<const std::string> candidates);

}  // namespace difftune
