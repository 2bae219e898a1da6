#include "options/command_page.h"

#include <fmt/ranges.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "options/option_text.h"

namespace difftune {
namespace {

// Breaks `text` at spaces so that no line is wider than `width` (a longer word stays whole), each behind `indent`
// spaces.
std::string wrap(const std::string& text, int indent, int width) {
  std::string out, word;
  int column = 0;
  std::istringstream words(text);
  while (words >> word) {
    const int length = static_cast<int>(word.size());
    if (column > 0 && column + 1 + length > width) {
      out += '\n';
      column = 0;
    }
    out += column == 0 ? std::string(static_cast<size_t>(indent), ' ') : " ";
    out += word;
    column = (column == 0 ? indent : column + 1) + length;
  }
  return out + "\n";
}

std::string range_text(const OptionSpec& spec) {
  if (spec.minimum && spec.maximum) return fmt::format("{} to {}", *spec.minimum, *spec.maximum);
  if (spec.minimum) return fmt::format("at least {}", *spec.minimum);
  return "";
}

// Unit, default, range and choices, e.g. "in steps; default 1600; at least 1".
std::string facts(const OptionSpec& spec) {
  if (spec.kind() == ValueKind::flag) return "";
  std::vector<std::string> facts;
  if (spec.required) facts.push_back("required");
  if (!spec.unit.empty()) facts.push_back("in " + spec.unit);
  const auto* text = std::get_if<std::string>(&spec.default_value);
  const bool has_default = !std::holds_alternative<std::monostate>(spec.default_value) && !(text && text->empty());
  if (has_default) facts.push_back("default " + display_text(spec.default_value));
  if (const auto range = range_text(spec); !range.empty()) facts.push_back(range);
  if (!spec.choices.empty()) facts.push_back(fmt::format("one of {}", fmt::join(spec.choices, ", ")));
  return fmt::format("{}", fmt::join(facts, "; "));
}

std::string status(const OptionSpec& spec) {
  switch (spec.availability) {
    case Availability::available:
      return "";
    case Availability::later:
      return "Not available yet: " + spec.reason + ".";
    case Availability::no_effect:
      return "No effect: " + spec.reason + ".";
  }
  return "";
}

std::string signature(const OptionSpec& spec) {
  if (spec.positional) return spec.name;
  const std::string placeholder = spec.placeholder();
  const std::string letter = spec.letter == 0 ? "" : fmt::format("-{}, ", spec.letter);
  return letter + "--" + spec.name + (placeholder.empty() ? "" : " " + placeholder);
}

// A text inside a Markdown table.
std::string table_cell(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

}  // namespace

std::string help_text(const CommandPage& page, const OptionTable& table, int width) {
  std::string text = fmt::format("usage: difftune {}", page.name);
  for (const OptionSpec& spec : table.specs()) {
    if (spec.positional) text += " " + spec.name;
  }
  text += " [options]\n\n";
  text += wrap(page.summary, 0, width);
  text += fmt::format("\nexample:\n  {}\n", page.example);
  text += "\n  -h, --help\n" + wrap("Print this text.", 6, width);
  std::string group;
  for (const OptionSpec& spec : table.specs()) {
    if (spec.group != group) text += fmt::format("\n{}\n", group = spec.group);
    text += "  " + signature(spec) + "\n";
    const std::string detail = facts(spec), state = status(spec);
    text +=
        wrap(spec.help + (detail.empty() ? "" : " (" + detail + ")") + (state.empty() ? "" : " " + state), 6, width);
  }
  return text;
}

std::string markdown_page(const CommandPage& page, const OptionTable& table) {
  std::string text = fmt::format("# difftune {}\n\n", page.name);
  text += "<!-- Made from src/options by `difftune docs`; edit the declarations there. -->\n\n";
  text += fmt::format("{}\n\n```\n{}\n```\n", page.summary, page.example);
  std::string group;
  for (const OptionSpec& spec : table.specs()) {
    if (spec.group != group) {
      group = spec.group;
      text += fmt::format("\n## {}\n\n| option | meaning | value |\n|---|---|---|\n", group);
    }
    const std::string state = status(spec);
    text += fmt::format("| `{}` | {}{} | {} |\n", table_cell(signature(spec)), table_cell(spec.help),
                        state.empty() ? "" : " *" + table_cell(state) + "*", table_cell(facts(spec)));
  }
  return text;
}

int terminal_width() {
  int columns = 80;
  winsize size{};
  if (const char* text = std::getenv("COLUMNS")) {
    columns = static_cast<int>(std::clamp<int64_t>(python_int(text).value_or(columns), 0, 1000));
  } else if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    columns = size.ws_col;
  }
  return std::clamp(columns, 60, 120);
}

}  // namespace difftune
