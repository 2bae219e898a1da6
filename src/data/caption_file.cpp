#include "data/caption_file.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/files.h"
#include "data/python_text.h"

namespace difftune {
namespace {

std::string parse_caption(const std::string& path, bool all_lines) {
  std::string text = read_file(path);
  if (text.empty()) fail("{}: the caption file is empty: write a caption or delete the file", path);
  if (const size_t at = find_invalid_utf8(text); at != std::string::npos) {
    fail("{}: the caption is not UTF-8 (byte {}): save the file as UTF-8", path, at);
  }
  if (text.starts_with("\xef\xbb\xbf")) text.erase(0, 3);
  text = replace_all(replace_all(text, "\r\n", "\n"), "\r", "\n");
  const auto lines = split(text, "\n");
  if (!all_lines) return std::string(python_strip(lines[0]));
  std::vector<std::string> kept;
  for (const auto& line : lines) {
    if (const auto stripped = python_strip(line); !stripped.empty()) kept.emplace_back(stripped);
  }
  return join(kept, "\n");
}

bool is_file(const std::string& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

}  // namespace

std::optional<std::string> read_caption(const std::string& image_path, const std::string& extension, bool all_lines) {
  const fs::path stem = fs::path(image_path).replace_extension();
  if (const std::string path = stem.string() + extension; is_file(path)) {
    return parse_caption(path, all_lines);
  }
  auto parts = split(stem.filename().string(), "_");
  if (parts.size() < 5) return std::nullopt;
  parts.resize(parts.size() - 4);
  const std::string path = (stem.parent_path() / (join(parts, "_") + extension)).string();
  if (!is_file(path)) return std::nullopt;
  return parse_caption(path, all_lines);
}

}  // namespace difftune
