#include "options/option_value.h"

#include <fmt/ranges.h>

#include <type_traits>

#include "base/error.h"

namespace difftune {
namespace {

template <typename... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};

template <typename T>
const T& expect(const OptionValue& value) {
  const T* held = std::get_if<T>(&value);
  DT_CHECK(held, "an option's value is of another kind than its field");
  return *held;
}

}  // namespace

ValueKind kind_of(const FieldRef& field) {
  return std::visit(
      Overloaded{[](const bool*) { return ValueKind::flag; }, [](const int64_t*) { return ValueKind::integer; },
                 [](const std::optional<int64_t>*) { return ValueKind::integer; },
                 [](const Number*) { return ValueKind::number; },
                 [](const std::optional<Number>*) { return ValueKind::number; },
                 [](const std::string*) { return ValueKind::text; },
                 [](const std::optional<std::string>*) { return ValueKind::text; },
                 [](const std::optional<std::filesystem::path>*) { return ValueKind::path; },
                 [](const std::vector<std::string>*) { return ValueKind::text_list; },
                 [](const std::vector<double>*) { return ValueKind::number_list; }},
      field);
}

bool can_be_absent(const FieldRef& field) {
  return std::visit(
      Overloaded{[]<typename T>(const std::optional<T>*) { return true; },
                 []<typename T>(const std::vector<T>*) { return true; }, [](const auto*) { return false; }},
      field);
}

OptionValue read_field(const FieldRef& field) {
  return std::visit(Overloaded{[](const std::optional<std::filesystem::path>* path) -> OptionValue {
                                 if (!*path) return std::monostate{};
                                 return (*path)->string();
                               },
                               []<typename T>(const std::optional<T>* value) -> OptionValue {
                                 if (!*value) return std::monostate{};
                                 return **value;
                               },
                               []<typename T>(const std::vector<T>* list) -> OptionValue {
                                 if (list->empty()) return std::monostate{};
                                 return *list;
                               },
                               [](const auto* value) -> OptionValue { return *value; }},
                    field);
}

void write_field(const FieldRef& field, const OptionValue& value) {
  const bool absent = std::holds_alternative<std::monostate>(value);
  std::visit(Overloaded{[&](std::optional<std::filesystem::path>* path) {
                          if (absent) {
                            path->reset();
                          } else {
                            *path = expect<std::string>(value);
                          }
                        },
                        [&]<typename T>(std::optional<T>* target) {
                          if (absent) {
                            target->reset();
                          } else {
                            *target = expect<T>(value);
                          }
                        },
                        [&]<typename T>(std::vector<T>* target) {
                          *target = absent ? std::vector<T>{} : expect<std::vector<T>>(value);
                        },
                        [&]<typename T>(T* target) { *target = expect<T>(value); }},
             field);
}

bool same_value(const OptionValue& a, const OptionValue& b) {
  return std::visit(Overloaded{[](const Number& x, const Number& y) { return x.value() == y.value(); },
                               []<typename T>(const T& x, const T& y) { return x == y; },
                               [](const auto&, const auto&) { return false; }},
                    a, b);
}

std::string display_text(const OptionValue& value) {
  return std::visit(
      Overloaded{[](std::monostate) -> std::string { return "none"; },
                 [](bool flag) -> std::string { return flag ? "on" : "off"; },
                 [](int64_t number) { return fmt::format("{}", number); },
                 [](const Number& number) {
                   const double v = number;
                   return v == static_cast<int64_t>(v) ? fmt::format("{}", static_cast<int64_t>(v)) : python_repr(v);
                 },
                 [](const std::string& text) { return text.empty() ? "\"\"" : text; },
                 [](const std::vector<std::string>& list) { return fmt::format("{}", fmt::join(list, " ")); },
                 [](const std::vector<double>& list) { return fmt::format("{}", fmt::join(list, " ")); }},
      value);
}

}  // namespace difftune
