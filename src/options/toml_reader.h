// Config files in TOML: read with line numbers, checked against the keys that somebody asks for.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace difftune {

struct TomlValue;
struct TomlEntry;
using TomlArray = std::vector<TomlValue>;

struct TomlTable {
  std::vector<TomlEntry> entries;  // in the order of the file

  const TomlValue* find(std::string_view key) const;
};

// A date, time or anything else that no option has.
struct TomlOther {
  std::string type_name;
};

struct TomlValue {
  std::variant<bool, int64_t, double, std::string, TomlArray, TomlTable, TomlOther> data;
  int line = 0;

  // With its article, for messages: "a text", "an array".
  std::string type_name() const;
};

struct TomlEntry {
  std::string key;
  TomlValue value;
};

// Throws UserError with file, line and column where the text is not TOML or not UTF-8.
TomlTable parse_toml_text(std::string_view text, const std::string& file_name);
// Throws UserError also where the file cannot be read.
TomlTable read_toml_file(const std::filesystem::path& path);

// Reads a table key by key. Every getter returns nothing where the key is missing and throws UserError
// ("data.toml:12: num_repeats in [[datasets.subsets]]: expected a whole number, got a text") where its type is another.
// Asking for a key makes it known; finish() refuses the keys nobody asked for. `table` must outlive the reader.
class TomlReader {
 public:
  // `where` names the table in messages, e.g. "[general]"; empty for the top of the file.
  TomlReader(const TomlTable& table, std::string file_name, std::string where = {}, int line = 1);
  TomlReader(TomlTable&&, std::string, std::string = {}, int = 1) = delete;  // the table would be gone

  bool has(std::string_view key) const { return table_.find(key) != nullptr; }
  const TomlValue* value(std::string_view key);
  std::optional<bool> boolean(std::string_view key);
  std::optional<int64_t> integer(std::string_view key);
  // A whole number counts as a number too.
  std::optional<double> number(std::string_view key);
  std::optional<std::string> string(std::string_view key);
  // One value counts as a list of one.
  std::optional<std::vector<std::string>> strings(std::string_view key);
  std::optional<std::vector<int64_t>> integers(std::string_view key);
  std::optional<std::vector<double>> numbers(std::string_view key);
  std::optional<TomlReader> table(std::string_view key);
  // The tables of [[key]]; none where it is missing.
  std::vector<TomlReader> tables(std::string_view key);
  // Makes a key known without reading it.
  void allow(std::string_view key) { known_.insert(std::string(key)); }
  // Throws UserError for the first key that nobody asked for, with the nearest known one.
  void finish() const;

  // Line of the key, or of the table where it is missing.
  int line_of(std::string_view key) const;
  // Throws UserError "FILE:LINE: KEY in WHERE: MESSAGE".
  [[noreturn]] void refuse(std::string_view key, std::string_view message) const;

 private:
  template <typename T>
  std::optional<T> scalar(std::string_view key, std::string_view expected);
  template <typename T>
  std::optional<std::vector<T>> list(std::string_view key, std::string_view expected);
  std::string child_name(std::string_view key) const;

  const TomlTable& table_;
  std::string file_name_, where_;
  int line_;
  std::set<std::string> known_;
};

}  // namespace difftune
