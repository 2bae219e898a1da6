#include "commands/run_tool.h"

#include <ATen/Parallel.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/parallel.h"
#include "nn/pooled_allocator.h"
#include "options/read_options.h"

namespace difftune {

bool read_tool_options(const CommandPage& page, OptionTable& table, std::span<const std::string> words,
                       void (*prepare)()) {
  const ReadResult read = read_options(table, words);
  if (read.outcome == ReadResult::Outcome::help_wanted) {
    fmt::print("{}", help_text(page, table, terminal_width()));
    return false;
  }
  prepare();
  for (const Remark& remark : read.remarks) {
    log::write(remark.is_warning ? log::Level::warning : log::Level::info, remark.text);
  }
  std::vector<std::string> missing;
  for (const OptionSpec& spec : table.specs()) {
    if (spec.required && std::holds_alternative<std::monostate>(spec.value()))
      missing.push_back((spec.positional ? "" : "--") + spec.name);
  }
  if (!missing.empty()) {
    throw UsageError(fmt::format("{} needs {}; `difftune {} --help` explains the options", page.name,
                                 fmt::join(missing, ", "), page.name));
  }
  return true;
}

void prepare_for_tensors() {
  // The tools work on several tensors at once. MKL keeps the number for each thread.
  at::set_num_threads(1);
  set_thread_preparation([] { at::set_num_threads(1); });
  nn::use_pooled_memory();
}

}  // namespace difftune
