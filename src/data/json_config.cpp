#include "data/json_config.h"

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace difftune {
namespace {

using Json = nlohmann::ordered_json;

TomlValue convert(const Json& json) {
  TomlValue value{.data = TomlOther{"null"}, .line = 1};
  if (json.is_object()) {
    TomlTable table;
    for (const auto& [key, item] : json.items()) table.entries.push_back({key, convert(item)});
    value.data = std::move(table);
  } else if (json.is_array()) {
    TomlArray items;
    for (const auto& item : json) items.push_back(convert(item));
    value.data = std::move(items);
  } else if (json.is_boolean()) {
    value.data = json.get<bool>();
  } else if (json.is_number_integer()) {
    value.data = json.get<int64_t>();
  } else if (json.is_number()) {
    value.data = json.get<double>();
  } else if (json.is_string()) {
    value.data = json.get<std::string>();
  }
  return value;
}

}  // namespace

TomlTable parse_json_config(const std::string& text, const std::string& file_name) {
  try {
    TomlValue root = convert(Json::parse(text));
    if (auto* table = std::get_if<TomlTable>(&root.data)) return std::move(*table);
    fail("{}: expected a JSON object at the top, got {}", file_name, root.type_name());
  } catch (const nlohmann::json::exception& error) {
    fail("{}: not valid JSON: {}", file_name, error.what());
  }
}

}  // namespace difftune
