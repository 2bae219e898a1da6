#include "weight_tools/tool_files.h"

#include <fmt/ranges.h>

#include "weight_tools/checkpoint_output.h"

namespace difftune {

void check_output(const fs::path& output, std::string_view option, std::span<const std::string> inputs) {
  const std::vector<fs::path> paths(inputs.begin(), inputs.end());
  require_new_file(output, paths, option);
}

std::string list_some(std::span<const std::string> names, size_t at_most) {
  if (names.size() <= at_most) return fmt::format("{}", fmt::join(names, ", "));
  return fmt::format("{} and {} more", fmt::join(names.first(at_most), ", "), names.size() - at_most);
}

std::string title_of(const fs::path& path) { return path.stem().string(); }

}  // namespace difftune
