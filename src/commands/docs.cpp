#include "commands/docs.h"

#include <fmt/core.h>

#include "base/error.h"
#include "base/files.h"
#include "commands/command_table.h"

namespace difftune {

int run_docs(std::span<const std::string> words) {
  if (!words.empty() && (words[0] == "-h" || words[0] == "--help")) {
    fmt::print(
        "usage: difftune docs [FOLDER]\n\nWrites the Markdown page of every command into FOLDER (default: docs).\n");
    return 0;
  }
  if (words.size() > 1) throw UsageError(fmt::format("docs takes one folder, got {} words", words.size()));
  if (!words.empty() && words[0].starts_with('-')) throw UsageError(fmt::format("docs has no option {}", words[0]));
  const fs::path folder = words.empty() ? "docs" : words[0];
  require_writable_folder(folder, "docs");
  for (const Command& command : command_table()) {
    if (command.page == nullptr) continue;
    const fs::path path = folder / (std::string(command.name) + ".md");
    write_file_atomically(path, command.page());
    fmt::print("{}\n", path.string());
  }
  return 0;
}

}  // namespace difftune
