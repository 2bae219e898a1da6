// `difftune show_metadata`: the metadata of a file of weights.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace difftune {

inline constexpr std::string_view kShowMetadataSummary = "Prints the metadata of a safetensors file.";

// Runs with the words behind the command's name. Throws UsageError and UserError.
int run_show_metadata(std::span<const std::string> words);

// The Markdown of docs/show_metadata.md.
std::string show_metadata_page();

}  // namespace difftune
