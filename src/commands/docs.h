// `difftune docs [FOLDER]`: the pages made from the declarations of the options.
#pragma once

#include <span>
#include <string>

namespace difftune {

// Writes NAME.md of every command into the folder (default: docs). Throws UsageError for other words and UserError
// where a file cannot be written.
int run_docs(std::span<const std::string> words);

}  // namespace difftune
