// A dataset file written as JSON, read into the tables that toml files are read into.
#pragma once

#include <string>

#include "options/toml_reader.h"

namespace difftune {

// Every value is at line 1: JSON values carry no place. Throws UserError that names the file if it is not a JSON
// object.
TomlTable parse_json_config(const std::string& text, const std::string& file_name);

}  // namespace difftune
