// The value of an option, apart from the struct it is stored in.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "options/number.h"

namespace difftune {

// std::monostate is "not given" (Python's None).
using OptionValue =
    std::variant<std::monostate, bool, int64_t, Number, std::string, std::vector<std::string>, std::vector<double>>;

// The field of an options struct that an option fills. The struct must outlive the reference and stay where it is.
using FieldRef = std::variant<bool*, int64_t*, std::optional<int64_t>*, Number*, std::optional<Number>*, std::string*,
                              std::optional<std::string>*, std::optional<std::filesystem::path>*,
                              std::vector<std::string>*, std::vector<double>*>;

enum class ValueKind { flag, integer, number, text, path, text_list, number_list };

ValueKind kind_of(const FieldRef& field);
// Whether the field can be "not given": an optional or a list.
bool can_be_absent(const FieldRef& field);
// The field's value; an empty list is "not given".
OptionValue read_field(const FieldRef& field);
// Stores `value`, which must be of the field's kind (or "not given" where the field can be).
void write_field(const FieldRef& field, const OptionValue& value);

// Equal as Python compares them: 1 and 1.0 are.
bool same_value(const OptionValue& a, const OptionValue& b);
// As a person reads it: "none", "512,512", "0.1", "a b".
std::string display_text(const OptionValue& value);

}  // namespace difftune
