#include "options/toml_reader.h"

#include <toml++/toml.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/nearest_name.h"

namespace difftune {
namespace {

TomlTable convert_table(const toml::table& table);

TomlValue convert(const toml::node& node) {
  TomlValue value;
  value.line = static_cast<int>(node.source().begin.line);
  if (const auto* flag = node.as_boolean()) {
    value.data = flag->get();
  } else if (const auto* integer = node.as_integer()) {
    value.data = integer->get();
  } else if (const auto* number = node.as_floating_point()) {
    value.data = number->get();
  } else if (const auto* text = node.as_string()) {
    value.data = text->get();
  } else if (const auto* table = node.as_table()) {
    value.data = convert_table(*table);
  } else if (const auto* array = node.as_array()) {
    TomlArray items;
    for (const toml::node& item : *array) items.push_back(convert(item));
    value.data = std::move(items);
  } else {
    value.data = TomlOther{node.is_time() ? "a time" : "a date"};
  }
  return value;
}

TomlTable convert_table(const toml::table& table) {
  struct Placed {
    toml::source_position position;
    TomlEntry entry;
  };
  std::vector<Placed> placed;
  for (const auto& [key, node] : table) {
    placed.push_back({key.source().begin, {std::string(key.str()), convert(node)}});
    // A message about a key points to the key, also where the value is a table or runs over several lines.
    if (key.source().begin.line > 0) placed.back().entry.value.line = static_cast<int>(key.source().begin.line);
  }
  std::stable_sort(placed.begin(), placed.end(),
                   [](const Placed& a, const Placed& b) { return a.position < b.position; });
  TomlTable result;
  for (Placed& item : placed) result.entries.push_back(std::move(item.entry));
  return result;
}

template <typename T>
const T* value_as(const TomlValue& value) {
  return std::get_if<T>(&value.data);
}

// A whole number is read as a double where a double is expected.
template <typename T>
std::optional<T> scalar_as(const TomlValue& value) {
  if (const T* held = value_as<T>(value)) return *held;
  if constexpr (std::is_same_v<T, double>) {
    if (const auto* integer = value_as<int64_t>(value)) return static_cast<double>(*integer);
  }
  return std::nullopt;
}

}  // namespace

const TomlValue* TomlTable::find(std::string_view key) const {
  for (const TomlEntry& entry : entries) {
    if (entry.key == key) return &entry.value;
  }
  return nullptr;
}

std::string TomlValue::type_name() const {
  static constexpr const char* kNames[] = {"true or false", "a whole number", "a number",
                                           "a text",        "an array",       "a table"};
  if (const auto* other = std::get_if<TomlOther>(&data)) return other->type_name;
  return kNames[data.index()];
}

TomlTable parse_toml_text(std::string_view text, const std::string& file_name) {
  try {
    return convert_table(toml::parse(text, file_name));
  } catch (const toml::parse_error& e) {
    const auto& at = e.source().begin;
    const std::string what(e.description());
    const bool escape = what.find("escape") != std::string::npos;
    fail("{}:{}:{}: not valid TOML: {}{}", file_name, at.line, at.column, what,
         escape ? " (in a path, write / for \\, or put the path in single quotes)" : "");
  }
}

TomlTable read_toml_file(const std::filesystem::path& path) { return parse_toml_text(read_file(path), path.string()); }

TomlReader::TomlReader(const TomlTable& table, std::string file_name, std::string where, int line)
    : table_(table), file_name_(std::move(file_name)), where_(std::move(where)), line_(line) {}

const TomlValue* TomlReader::value(std::string_view key) {
  known_.insert(std::string(key));
  return table_.find(key);
}

template <typename T>
std::optional<T> TomlReader::scalar(std::string_view key, std::string_view expected) {
  const TomlValue* found = value(key);
  if (!found) return std::nullopt;
  auto result = scalar_as<T>(*found);
  if (!result) refuse(key, fmt::format("expected {}, got {}", expected, found->type_name()));
  return result;
}

template <typename T>
std::optional<std::vector<T>> TomlReader::list(std::string_view key, std::string_view expected) {
  const TomlValue* found = value(key);
  if (!found) return std::nullopt;
  std::vector<T> result;
  const auto take = [&](const TomlValue& item) {
    auto one = scalar_as<T>(item);
    if (!one) refuse(key, fmt::format("expected {} or a list of them, got {}", expected, item.type_name()));
    result.push_back(std::move(*one));
  };
  if (const auto* array = value_as<TomlArray>(*found)) {
    for (const TomlValue& item : *array) take(item);
  } else {
    take(*found);
  }
  return result;
}

std::optional<bool> TomlReader::boolean(std::string_view key) { return scalar<bool>(key, "true or false"); }
std::optional<int64_t> TomlReader::integer(std::string_view key) { return scalar<int64_t>(key, "a whole number"); }
std::optional<double> TomlReader::number(std::string_view key) { return scalar<double>(key, "a number"); }
std::optional<std::string> TomlReader::string(std::string_view key) { return scalar<std::string>(key, "a text"); }
std::optional<std::vector<std::string>> TomlReader::strings(std::string_view key) {
  return list<std::string>(key, "a text");
}
std::optional<std::vector<int64_t>> TomlReader::integers(std::string_view key) {
  return list<int64_t>(key, "a whole number");
}
std::optional<std::vector<double>> TomlReader::numbers(std::string_view key) { return list<double>(key, "a number"); }

std::optional<TomlReader> TomlReader::table(std::string_view key) {
  const TomlValue* found = value(key);
  if (!found) return std::nullopt;
  const auto* table = value_as<TomlTable>(*found);
  if (!table) refuse(key, fmt::format("expected a table, written [{}], got {}", child_name(key), found->type_name()));
  return TomlReader(*table, file_name_, fmt::format("[{}]", child_name(key)), found->line);
}

std::vector<TomlReader> TomlReader::tables(std::string_view key) {
  std::vector<TomlReader> readers;
  const TomlValue* found = value(key);
  if (!found) return readers;
  const auto* array = value_as<TomlArray>(*found);
  const bool all_tables = array && std::all_of(array->begin(), array->end(),
                                               [](const TomlValue& item) { return value_as<TomlTable>(item); });
  if (!all_tables) {
    refuse(key, fmt::format("expected tables, written [[{}]], got {}", child_name(key), found->type_name()));
  }
  for (const TomlValue& item : *array) {
    readers.emplace_back(std::get<TomlTable>(item.data), file_name_, fmt::format("[[{}]]", child_name(key)), item.line);
  }
  return readers;
}

// "subsets" inside "[[datasets]]" is "datasets.subsets".
std::string TomlReader::child_name(std::string_view key) const {
  const size_t begin = where_.find_first_not_of('[');
  if (begin == std::string::npos) return std::string(key);
  return fmt::format("{}.{}", where_.substr(begin, where_.find_last_not_of(']') - begin + 1), key);
}

void TomlReader::finish() const {
  const std::vector<std::string> candidates(known_.begin(), known_.end());
  for (const TomlEntry& entry : table_.entries) {
    if (known_.contains(entry.key)) continue;
    const std::string near = nearest_name(entry.key, candidates);
    refuse(entry.key,
           near.empty() ? std::string("unknown key; remove it") : fmt::format("unknown key; did you mean {}?", near));
  }
}

int TomlReader::line_of(std::string_view key) const {
  const TomlValue* found = table_.find(key);
  return found ? found->line : line_;
}

void TomlReader::refuse(std::string_view key, std::string_view message) const {
  fail("{}:{}: {}{}: {}", file_name_, line_of(key), key, where_.empty() ? "" : " in " + where_, message);
}

}  // namespace difftune
