// Declared options against those of the reference's scripts (tests/data/options/SCRIPT.json).
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "base/files.h"
#include "options/option_table.h"

namespace difftune {

using Json = nlohmann::json;

inline std::string type_of(const OptionSpec& spec) {
  if (spec.count_or_share) return "int_or_float";
  switch (spec.kind()) {
    case ValueKind::flag:
      return "flag";
    case ValueKind::integer:
      return "int";
    case ValueKind::number:
    case ValueKind::number_list:
      return "float";
    case ValueKind::path:
      return "Path";
    default:
      return "str";
  }
}

inline Json default_of(const OptionSpec& spec) {
  const OptionValue& value = spec.default_value;
  if (const auto* flag = std::get_if<bool>(&value)) return *flag;
  if (const auto* integer = std::get_if<int64_t>(&value)) return *integer;
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (const auto* number = std::get_if<Number>(&value)) {
    return number->is_integer() ? Json(static_cast<int64_t>(number->value())) : Json(number->value());
  }
  return nullptr;
}

// Expects every option of the script to be declared with its type, default and choices; returns our own ones besides.
inline std::vector<std::string> check_against_reference(const OptionTable& table, const std::string& script) {
  const Json reference = Json::parse(read_file(TEST_DATA_DIR "/options/" + script + ".json"));
  std::set<std::string> names;
  for (const Json& expected : reference) {
    const std::string name = expected["names"][0].get<std::string>().substr(2);
    SCOPED_TRACE(script + " --" + name);
    names.insert(name);
    EXPECT_TRUE(table.find(name));
    if (!table.find(name)) continue;
    const OptionSpec& spec = table.at(name);
    const bool is_flag = expected["action"] == "StoreTrue";
    EXPECT_EQ(type_of(spec), is_flag ? "flag" : expected["type"].get<std::string>());
    const Json default_value = default_of(spec), wanted = expected.value("default", is_flag ? Json(false) : Json());
    const bool is_not_given = wanted.is_array() && wanted.empty();
    EXPECT_EQ(default_value, is_not_given ? Json() : wanted);
    EXPECT_EQ(default_value.is_number_integer(), wanted.is_number_integer()) << "int or float";
    const bool is_list = spec.kind() == ValueKind::text_list || spec.kind() == ValueKind::number_list;
    EXPECT_EQ(is_list, expected.value("nargs", Json()) == "*");
    std::vector<std::string> choices;
    for (const Json& choice : expected.value("choices", Json::array())) {
      if (choice.is_string()) choices.push_back(choice);
      if (choice.is_number()) choices.push_back(choice.dump());
    }
    EXPECT_EQ(spec.choices, choices);
  }
  std::vector<std::string> own;
  for (const std::string& name : table.names()) {
    if (!names.contains(name)) own.push_back(name);
  }
  return own;
}

}  // namespace difftune
