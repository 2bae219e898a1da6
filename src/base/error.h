// The two kinds of failure: what the user can mend, and a bug in difftune.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace difftune {

// Bad input or a refused request: one line that says what, where, expected, got and what to do. Exit code 1.
class UserError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A bad command line. Exit code 2.
class UsageError : public UserError {
 public:
  using UserError::UserError;
};

// A broken invariant of difftune itself; the message asks for a report. Exit code 1.
class InternalError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

// Throws UserError with a formatted message.
template <typename... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw UserError(fmt::format(format, std::forward<Args>(args)...));
}

[[noreturn]] void check_failed(const char* condition, const char* file, int line, const std::string& message);

}  // namespace difftune

// DT_CHECK(condition, "format", args...): an invariant; failing it is a bug in difftune. (Plain CHECK is c10's.)
#define DT_CHECK(condition, ...)                                                                             \
  do {                                                                                                       \
    if (!(condition)) ::difftune::check_failed(#condition, __FILE__, __LINE__, fmt::format("" __VA_ARGS__)); \
  } while (false)
