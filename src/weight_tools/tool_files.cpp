#include "weight_tools/tool_files.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"

namespace difftune {

void check_output(const fs::path& output, std::string_view option, std::span<const std::string> inputs) {
  std::error_code ec;
  if (fs::is_directory(output, ec)) {
    fail("{} {}: is a folder, expected the name of the file to write", option, output.string());
  }
  const std::string extension = output.extension().string();
  if (extension != ".safetensors" && extension != ".sft") {
    throw UsageError(fmt::format("{} {}: only .safetensors files are written; a pickle can run code when it is read",
                                 option, output.string()));
  }
  for (const std::string& input : inputs) {
    if (fs::equivalent(output, input, ec)) {
      fail("{} {}: is also an input ({}); give the output another name", option, output.string(), input);
    }
  }
}

void prepare_output(const fs::path& output, std::string_view option, std::span<const std::string> inputs) {
  check_output(output, option, inputs);
  require_writable_folder(output.has_parent_path() ? output.parent_path() : fs::path("."), option);
}

std::string list_some(std::span<const std::string> names, size_t at_most) {
  if (names.size() <= at_most) return fmt::format("{}", fmt::join(names, ", "));
  return fmt::format("{} and {} more", fmt::join(names.first(at_most), ", "), names.size() - at_most);
}

std::string title_of(const fs::path& path) { return path.stem().string(); }

}  // namespace difftune
