#include "options/config_file.h"

#include <map>

#include "base/error.h"
#include "base/files.h"
#include "base/nearest_name.h"
#include "options/front_end_keys.h"
#include "options/option_text.h"
#include "options/read_options.h"
#include "options/toml_reader.h"

namespace difftune {
namespace {

// A basic TOML string; only what TOML forbids in one is escaped.
std::string toml_quote(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
          out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
        } else {
          out += c;
        }
    }
  }
  return out + "\"";
}

std::string toml_text(const OptionValue& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* integer = std::get_if<int64_t>(&value)) return std::to_string(*integer);
  if (const auto* number = std::get_if<Number>(&value)) return python_str(*number);
  if (const auto* text = std::get_if<std::string>(&value)) return toml_quote(*text);
  std::string items;
  const auto append = [&](const std::string& item) { items += (items.empty() ? "" : ", ") + item; };
  if (const auto* texts = std::get_if<std::vector<std::string>>(&value)) {
    for (const std::string& text : *texts) append(toml_quote(text));
  } else if (const auto* numbers = std::get_if<std::vector<double>>(&value)) {
    for (const double number : *numbers) append(python_repr(number));
  } else {
    return "\"\"";  // "not given", where the default is something else
  }
  return "[" + items + "]";
}

struct Reader {
  const OptionTable& table;
  const std::string file_name;
  std::vector<Remark>& remarks;
  std::vector<Assignment> assignments;
  std::map<std::string, int> line_of_key;

  void take(const TomlEntry& entry) {
    const std::string origin = fmt::format("{}:{}: {}", file_name, entry.value.line, entry.key);
    const auto option = table.find(entry.key);
    if (!option) return pass_over(entry, origin);
    if (table.specs()[*option].name == "config_file" || table.specs()[*option].name == "output_config") {
      remarks.push_back({false, origin + " has no effect inside a config file"});
      return;
    }
    const auto [seen, first] = line_of_key.emplace(entry.key, entry.value.line);
    if (!first) remarks.push_back({true, fmt::format("{} replaces the value in line {}", origin, seen->second)});
    seen->second = entry.value.line;
    assignments.push_back({*option, parse_toml(table.specs()[*option], entry.value, origin), origin});
  }

  void pass_over(const TomlEntry& entry, const std::string& origin) {
    if (const FrontEndKey* known = find_front_end_key(entry.key)) {
      remarks.push_back(
          {!known->advice.empty(), fmt::format("{} is a setting of a graphical front end and changes nothing here{}{}",
                                               origin, known->advice.empty() ? "" : ": ", known->advice)});
      return;
    }
    const std::string near = nearest_name(entry.key, table.names());
    throw UsageError(origin + (near.empty() ? std::string(" is not an option; remove it")
                                            : fmt::format(" is not an option; did you mean {}?", near)));
  }
};

}  // namespace

std::filesystem::path config_file_path(const std::string& option_value) {
  return option_value.ends_with(".toml") ? option_value : option_value + ".toml";
}

std::vector<Assignment> read_config_file(const OptionTable& table, const std::filesystem::path& path,
                                         std::vector<Remark>& remarks) {
  if (!std::filesystem::exists(path)) fail("--config_file {}: there is no such file", path.string());
  const TomlTable file = read_toml_file(path);
  if (file.find("datasets")) {
    throw UsageError(
        fmt::format("--config_file {}: this file describes a dataset; give it to --dataset_config", path.string()));
  }
  Reader reader{table, path.string(), remarks, {}, {}};
  for (const TomlEntry& entry : file.entries) {
    if (const auto* section = std::get_if<TomlTable>(&entry.value.data)) {
      for (const TomlEntry& inner : section->entries) reader.take(inner);
    } else {
      reader.take(entry);
    }
  }
  return std::move(reader.assignments);
}

void write_config_file(const OptionTable& table, const std::filesystem::path& path) {
  if (std::filesystem::exists(path)) {
    fail("--output_config: {} exists already; remove it or choose another name", path.string());
  }
  write_file_atomically(path, configuration_toml(table));
}

std::string configuration_toml(const OptionTable& table) {
  std::string text;
  for (const OptionSpec& spec : table.specs()) {
    if (spec.is_default() || spec.secret || spec.transient) continue;
    text += fmt::format("{} = {}\n", spec.name, toml_text(spec.value()));
  }
  return text;
}

}  // namespace difftune
