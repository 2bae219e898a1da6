// Text of one option's value, from the command line or a config file, to the value.
#pragma once

#include <string>
#include <string_view>

#include "options/option_table.h"
#include "options/toml_reader.h"

namespace difftune {

// The value of an option that takes a single word, or one item of a list's. Numbers are read as Python's int() and
// float() read them. `origin` begins every message. Throws UsageError.
OptionValue parse_word(const OptionSpec& spec, const std::string& word, std::string_view origin);
// All words of an option that takes a list.
OptionValue parse_words(const OptionSpec& spec, const std::vector<std::string>& words, std::string_view origin);
// A value from a config file. Also takes what front ends write: 0 and 1 for a flag, numbers in quotes, one value where
// a list belongs, a list for a comma-separated text, and "" for "not given". Throws UsageError.
OptionValue parse_toml(const OptionSpec& spec, const TomlValue& value, std::string_view origin);

// Python's int() and float() of a text; nothing where they would raise. (inf and nan are no numbers here.)
std::optional<int64_t> python_int(std::string_view text);
std::optional<double> python_float(std::string_view text);

}  // namespace difftune
