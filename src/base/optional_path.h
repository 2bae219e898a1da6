#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace difftune {

// The path that an option names, where it is given.
inline std::optional<std::filesystem::path> optional_path(const std::optional<std::string>& text) {
  return text ? std::optional<std::filesystem::path>(*text) : std::nullopt;
}

}  // namespace difftune
