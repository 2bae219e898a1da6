#include "commands/tool_command.h"

#include <fmt/core.h>

#include "base/error.h"
#include "base/log.h"
#include "options/read_options.h"

namespace difftune {

bool read_tool_options(const CommandPage& page, OptionTable& table, std::span<const std::string> words) {
  const ReadResult read = read_options(table, words);
  if (read.outcome == ReadResult::Outcome::help_wanted) {
    fmt::print("{}", help_text(page, table, terminal_width()));
    return false;
  }
  for (const OptionSpec& spec : table.specs()) {
    if (!spec.required || !std::holds_alternative<std::monostate>(spec.value())) continue;
    throw UsageError(fmt::format("{}{} is missing: {}", spec.positional ? "" : "--", spec.name, spec.help));
  }
  for (const Remark& remark : read.remarks) {
    log::write(remark.is_warning ? log::Level::warning : log::Level::info, remark.text);
  }
  return true;
}

void describe_dry_run(bool& dry_run, OptionTable& table) {
  table.add("dry_run", &dry_run, "Check the input, say what would be written, and stop.", {.transient = true});
}

}  // namespace difftune
