// A real number that remembers whether it was written as a whole one.
#pragma once

#include <fmt/format.h>

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>

#include "base/python_format.h"

namespace difftune {

// Behaves as a double. Whole numbers matter where the reference keeps Python's int: `network_alpha = 16` in a config
// file is saved as an int64 tensor and printed as "16" in the metadata, `--network_alpha 16` is a float and "16.0".
class Number {
 public:
  constexpr Number(std::floating_point auto value) : value_(value) {}
  constexpr Number(std::integral auto value) : value_(static_cast<double>(value)), is_integer_(true) {}

  constexpr operator double() const { return value_; }
  constexpr double value() const { return value_; }
  constexpr bool is_integer() const { return is_integer_; }

 private:
  double value_;
  bool is_integer_ = false;
};

// str() of the value in Python, for metadata.
inline std::string python_str(const Number& number) {
  return number.is_integer() ? fmt::format("{}", static_cast<int64_t>(number.value())) : python_repr(number.value());
}
inline std::string python_str(double value) { return python_repr(value); }
inline std::string python_str(int64_t value) { return fmt::format("{}", value); }
inline std::string python_str(const std::string& text) { return text; }
inline std::string python_str(const char* text) { return text; }
template <typename T>
std::string python_str(const std::optional<T>& value) {
  return value ? python_str(*value) : "None";
}

}  // namespace difftune
