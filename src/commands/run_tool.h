// The frame of the commands that do not train: words in, options filled and checked, then the work.
#pragma once

#include <span>
#include <string>

#include "base/patient_threads.h"
#include "options/command_page.h"
#include "options/option_table.h"

namespace difftune {

// Reads `words` into the fields of `table`; calls `prepare` before anything is said on them. Returns false where the
// call is answered already (--help). Throws UsageError for a bad command line and for a required option that is
// missing.
bool read_tool_options(const CommandPage& page, OptionTable& table, std::span<const std::string> words,
                       void (*prepare)());

// The tools that turn files into files give each processor a piece of work of its own (rows, a layer): LibTorch's
// threads would meet at a barrier after every small operation, which takes minutes on a busy machine. Memory of tensors
// is used again: a third of a merge was the kernel clearing pages.
void prepare_for_tensors();

// Runs a command whose options struct has `OptionTable describe(Options&)`; `work` returns the exit code.
template <typename Options>
int run_with_options(const CommandPage& page, std::span<const std::string> words, int (*work)(Options&),
                     void (*prepare)() = let_waiting_threads_sleep) {
  Options options;
  OptionTable table = describe(options);
  return read_tool_options(page, table, words, prepare) ? work(options) : 0;
}

// The same for a tool that turns files into files.
template <typename Options>
int run_tool(const CommandPage& page, std::span<const std::string> words, int (*work)(Options&)) {
  return run_with_options(page, words, work, prepare_for_tensors);
}

// The Markdown of docs/NAME.md.
template <typename Options>
std::string tool_page(const CommandPage& page) {
  Options options;
  const OptionTable table = describe(options);
  return markdown_page(page, table);
}

}  // namespace difftune
