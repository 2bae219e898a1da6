// Typed access to NAME=VALUE arguments that refuses a name nobody asked for.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "optim/python_literal.h"

namespace difftune {

// Ask for every name there is, then call finish(). Each getter throws UserError where the value has another type.
class NamedArgReader {
 public:
  // `owner` names what the arguments are for ("optimizer AdamW"), `option` where they come from.
  NamedArgReader(const std::vector<NamedArg>& args, std::string owner, std::string option)
      : args_(args), owner_(std::move(owner)), option_(std::move(option)) {}

  double number(std::string_view name, double otherwise);
  std::optional<double> optional_number(std::string_view name, std::optional<double> otherwise = std::nullopt);
  bool flag(std::string_view name, bool otherwise);
  std::string text(std::string_view name, std::string otherwise);
  std::pair<double, double> pair(std::string_view name, std::pair<double, double> otherwise);
  // A name that only chooses among implementations of the same mathematics in Python: a warning where it is given.
  void without_effect(std::string_view name);

  // Throws UserError for a name that was not asked for, with those that were.
  void finish() const;

 private:
  const PythonLiteral* find(std::string_view name);
  [[noreturn]] void wrong_type(std::string_view name, const PythonLiteral& value, std::string_view expected) const;

  const std::vector<NamedArg>& args_;
  std::string owner_, option_;
  std::vector<std::string> known_;
};

}  // namespace difftune
