#include "optim/named_arg_reader.h"

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "optim/known_names.h"

namespace difftune {
namespace {

std::optional<double> as_number(const PythonLiteral& literal) {
  if (const auto* real = std::get_if<double>(&literal.value)) return *real;
  if (const auto* integer = std::get_if<int64_t>(&literal.value)) return static_cast<double>(*integer);
  return std::nullopt;
}

}  // namespace

const PythonLiteral* NamedArgReader::find(std::string_view name) {
  known_.emplace_back(name);
  for (const NamedArg& arg : args_) {
    if (arg.name == name) return &arg.value;
  }
  return nullptr;
}

void NamedArgReader::wrong_type(std::string_view name, const PythonLiteral& value, std::string_view expected) const {
  fail("{}: {} is {} for {}, expected {}", option_, name, value.str(), owner_, expected);
}

double NamedArgReader::number(std::string_view name, double otherwise) {
  const PythonLiteral* value = find(name);
  if (!value) return otherwise;
  if (const auto number = as_number(*value)) return *number;
  wrong_type(name, *value, "a number");
}

std::optional<double> NamedArgReader::optional_number(std::string_view name, std::optional<double> otherwise) {
  const PythonLiteral* value = find(name);
  if (!value) return otherwise;
  if (std::holds_alternative<PythonLiteral::None>(value->value)) return std::nullopt;
  if (const auto number = as_number(*value)) return number;
  wrong_type(name, *value, "a number or None");
}

bool NamedArgReader::flag(std::string_view name, bool otherwise) {
  const PythonLiteral* value = find(name);
  if (!value) return otherwise;
  if (const auto* flag = std::get_if<bool>(&value->value)) return *flag;
  wrong_type(name, *value, "True or False");
}

std::string NamedArgReader::text(std::string_view name, std::string otherwise) {
  const PythonLiteral* value = find(name);
  if (!value) return otherwise;
  if (const auto* text = std::get_if<std::string>(&value->value)) return *text;
  wrong_type(name, *value, "a quoted text");
}

std::pair<double, double> NamedArgReader::pair(std::string_view name, std::pair<double, double> otherwise) {
  const PythonLiteral* value = find(name);
  if (!value) return otherwise;
  if (const auto* sequence = std::get_if<PythonLiteral::Sequence>(&value->value);
      sequence && sequence->items.size() == 2) {
    const auto first = as_number(sequence->items[0]), second = as_number(sequence->items[1]);
    if (first && second) return {*first, *second};
  }
  wrong_type(name, *value, "two numbers such as 0.9,0.999");
}

void NamedArgReader::without_effect(std::string_view name) {
  if (find(name)) log::warning("{}: {} has no effect; it chooses between implementations in Python", option_, name);
}

void NamedArgReader::finish() const {
  for (const NamedArg& arg : args_) {
    if (std::find(known_.begin(), known_.end(), arg.name) != known_.end()) continue;
    if (known_.empty()) fail("{}: {} takes no arguments, got '{}'", option_, owner_, arg.name);
    fail("{}: {} has no argument '{}'{}", option_, owner_, arg.name, known_names_hint(arg.name, known_));
  }
}

}  // namespace difftune
