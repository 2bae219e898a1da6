// The files that a tool reads and the one it writes.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"

namespace difftune {

// require_new_file() for paths as options give them.
void check_output(const fs::path& output, std::string_view option, std::span<const std::string> inputs);

// "a, b, c and 4 more".
std::string list_some(std::span<const std::string> names, size_t at_most = 8);

// The name without folders and extension, as the reference titles a file.
std::string title_of(const fs::path& path);

}  // namespace difftune
