// What commands that log have in common.
#pragma once

#include <vector>

#include "options/groups/console.h"
#include "options/option_table.h"

namespace difftune {

// --console_log_level, --console_log_file and --console_log_simple.
void configure_log(const ConsoleOptions& console);
void print_remarks(const std::vector<Remark>& remarks);

}  // namespace difftune
