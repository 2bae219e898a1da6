// What --log_config shows beside the curves.
#pragma once

#include <string>

#include "options/option_table.h"

namespace difftune {

// The options of a run as a Markdown table of names and values, without secrets and without what says where files are.
std::string logged_options(const OptionTable& table);

}  // namespace difftune
