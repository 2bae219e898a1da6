// `difftune merge_models`: the weighted sum of checkpoints.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace difftune {

inline constexpr std::string_view kMergeModelsSummary = "Merges checkpoints of one architecture into a weighted sum.";

// Runs with the words behind the command's name. Throws UsageError and UserError.
int run_merge_models(std::span<const std::string> words);

// The Markdown of docs/merge_models.md.
std::string merge_models_page();

}  // namespace difftune
