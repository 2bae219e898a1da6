// Options in a .toml file: --config_file and --output_config.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "options/assignment.h"
#include "options/option_table.h"

namespace difftune {

// "lora" and "lora.toml" are both lora.toml.
std::filesystem::path config_file_path(const std::string& option_value);

// The options in a file. Sections only group; a key that occurs twice counts the last time, with a warning. Keys that
// graphical front ends write without any script having them are passed over with a remark; other unknown keys and
// values of a wrong type throw UsageError with file and line; an unreadable file throws UserError.
std::vector<Assignment> read_config_file(const OptionTable& table, const std::filesystem::path& path,
                                         std::vector<Remark>& remarks);

// Writes configuration_toml(table). Throws UserError where the file exists.
void write_config_file(const OptionTable& table, const std::filesystem::path& path);

}  // namespace difftune
