// The program's log: lines on stderr, and in a file where one is asked for.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

namespace difftune::log {

enum class Level { debug, info, warning, error };

// Level and destinations. `simple` drops time and level from console lines. Throws UserError if `file` can't be opened.
struct Settings {
  Level level = Level::info;
  std::string file;
  bool simple = false;
};
void configure(const Settings& settings);

void write(Level level, std::string_view message);
bool enabled(Level level);

template <typename... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::debug)) write(Level::debug, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::info)) write(Level::info, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::warning, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::error, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace difftune::log
