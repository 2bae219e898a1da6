#include "commands/console.h"

#include "base/log.h"

namespace difftune {
namespace {

log::Level log_level(const ConsoleOptions& console) {
  const std::string name = console.console_log_level.value_or("INFO");
  if (name == "DEBUG") return log::Level::debug;
  if (name == "INFO") return log::Level::info;
  if (name == "WARNING") return log::Level::warning;
  return log::Level::error;
}

}  // namespace

void configure_log(const ConsoleOptions& console) {
  log::configure({.level = log_level(console),
                  .file = console.console_log_file.value_or(""),
                  .simple = console.console_log_simple});
}

void print_remarks(const std::vector<Remark>& remarks) {
  for (const Remark& remark : remarks) {
    log::write(remark.is_warning ? log::Level::warning : log::Level::info, remark.text);
  }
}

}  // namespace difftune
