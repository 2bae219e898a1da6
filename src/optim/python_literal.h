// Values written as Python literals, the form of --optimizer_args and --lr_scheduler_args ("betas=0.9,0.999").
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace difftune {

struct PythonLiteral {
  struct None {
    bool operator==(const None&) const = default;
  };
  struct Sequence {
    std::vector<PythonLiteral> items;
    bool is_list = false;  // else a tuple
    bool operator==(const Sequence&) const = default;
  };
  std::variant<None, bool, int64_t, double, std::string, Sequence> value;

  bool operator==(const PythonLiteral&) const = default;
  // As Python's str() prints it.
  std::string str() const;
};

// Numbers, strings, True, False, None, tuples (also without parentheses) and lists. Throws UserError for anything else;
// `context` begins the message.
PythonLiteral parse_python_literal(std::string_view text, std::string_view context);

struct NamedArg {
  std::string name;
  PythonLiteral value;
};

// "NAME=LITERAL" each. `option` names the command line option in errors.
std::vector<NamedArg> parse_named_args(const std::vector<std::string>& texts, std::string_view option);

}  // namespace difftune
